"""Training on Ray workers: one is killed in mid-run, the run ends with the weights of an undisturbed one, on S3."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray
import torch
import yaml
from safetensors.torch import load, load_file
from tiny_training import prepare, settings

from llmner import storage
from llmner.errors import ConfigError
from llmner.training.distributed import run
from llmner.training.generator import train
from llmner.training.settings import GeneratorTraining

JOB = Path(__file__).parents[2] / "jobs" / "train_generator.py"


# Sums of other batches are the same only in float32, which is not the type of every processor's choice.
IN_FLOAT32 = f"""
import runpy, torch
from llmner.models import loading
loading.number_type = lambda dtype, device: torch.float32
runpy.run_path({str(JOB)!r}, run_name="__main__")
"""


def command(folder: Path, output: str, *, job: Path = JOB, **changes: object) -> list[str]:
    config = folder / f"{output}.yaml"
    config.write_text(yaml.safe_dump(settings(folder, output, **changes)))
    return [sys.executable, str(job), "--config", str(config)]


def workers() -> list[psutil.Process]:
    """The Ray Train workers of this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill_one_after_a_checkpoint(output: Path, killed: list[psutil.Process]) -> None:
    """Kill a worker once Ray knows a checkpoint to go on from, before the result is there."""
    known = output / "ray" / "checkpoint_manager_snapshot.json"
    deadline = time.monotonic() + 300
    while not known.exists() or '"checkpoint_dir_name"' not in known.read_text():
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)
    if not (output / "adapter").exists():
        killed.append(workers()[-1])
        killed[0].send_signal(signal.SIGKILL)


def weights(adapter: str) -> dict[str, torch.Tensor]:
    content = storage.read_bytes(storage.join(adapter, "adapter_model.safetensors"))
    assert content is not None
    return load(content)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_does_not_change_the_result(tmp_path, s3_environment, monkeypatch):
    """One run, on object storage, is left alone; another one, on disk, loses a worker."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    storage.file_system("s3://training")[0].mkdir("training", exist_ok=True)
    corpus = prepare(tmp_path, "llama")
    changes = {
        "corpora": [corpus],
        "steps": 30,
        "evaluate_every": 15,
        "dev_sentences": 11,
        "accumulate": 2,
        "cluster": {"workers": 2, "cpus": 1},
    }
    killed_run = GeneratorTraining.model_validate(settings(tmp_path, "killed", **changes))
    whole_run = killed_run.model_copy(update={"output": "s3://training/run"})

    whole = run(train, whole_run, result="adapter")
    assert whole == "s3://training/run/adapter"
    assert storage.list_names(whole) == ["adapter_config.json", "adapter_model.safetensors", "prompt.json"]
    (checkpoint,) = storage.list_folders("s3://training/run/ray")
    assert "optimizer.pt" in storage.list_names(f"s3://training/run/ray/{checkpoint}")

    killed: list[psutil.Process] = []
    killer = threading.Thread(target=kill_one_after_a_checkpoint, args=(tmp_path / "killed", killed))
    killer.start()
    resumed = run(train, killed_run, result="adapter")
    killer.join()
    assert killed
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    said = "".join(p.read_text() for p in logs.glob("worker-*.err"))
    assert re.search(r"step 30 on dev: f1 [01]\.\d+, f1_tiny", said)
    assert re.search(r"from step [1-9]\d* of 30", said)
    expected, found = weights(whole), weights(resumed)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value)

    # The same command again finds the result; one with other settings is refused.
    storage.remove("s3://training/run/ray")
    assert run(train, whole_run, result="adapter") == whole
    assert storage.list_folders("s3://training/run/ray") == []
    with pytest.raises(ConfigError, match="rank"):
        run(train, whole_run.model_copy(update={"rank": 4}), result="adapter")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_processes_of_torchrun_share_the_batches(tmp_path):
    """Two processes with a batch each take the steps of one with two batches a step; they measure a part each."""
    corpus = prepare(tmp_path, "llama")
    in_float32 = tmp_path / "job.py"
    in_float32.write_text(IN_FLOAT32)
    changes = {"corpora": [corpus], "steps": 6, "accumulate": 2, "evaluate_every": 6, "dev_sentences": 11}
    alone = command(tmp_path, "alone", job=in_float32, **changes)
    python, *job = command(tmp_path, "both", job=in_float32, **changes)
    both = [python, "-m", "torch.distributed.run", "--nproc-per-node", "2", *job]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    logs = [
        subprocess.run(c, check=True, timeout=300, capture_output=True, text=True, env=environment).stderr
        for c in (alone, both)
    ]
    measured = [re.findall(r"step 6 on dev: (.*)", log) for log in logs]
    assert measured[0] == measured[1]
    assert len(measured[0]) == 1
    one, other = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("alone", "both"))
    for key, value in one.items():
        assert torch.norm(other[key].float() - value.float()) <= 0.01 * torch.norm(value.float())
