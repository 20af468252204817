"""Training on Ray workers: one is killed in mid-run, the run ends with the weights of an undisturbed one."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file
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


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The Ray Train workers that descend from a process."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_killed_worker_does_not_change_the_result(tmp_path):
    corpus = prepare(tmp_path, "llama")
    changes = {
        "corpora": [corpus],
        "steps": 60,
        "evaluate_every": 30,
        "dev_sentences": 11,
        "accumulate": 2,
        "cluster": {"workers": 2, "cpus": 1},
    }
    subprocess.run(command(tmp_path, "whole", **changes), check=True, timeout=600, capture_output=True)

    killed = subprocess.Popen(
        command(tmp_path, "killed", **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "RAY_DEDUP_LOGS": "0"},  # lines that differ in numbers only are not folded into one
    )
    deadline = time.monotonic() + 300
    known = tmp_path / "killed" / "ray" / "checkpoint_manager_snapshot.json"  # what Ray will go on from
    while not known.exists() or '"checkpoint_dir_name"' not in known.read_text():
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.01)
    assert not [*(tmp_path / "killed").glob("adapter/*")]
    workers(killed)[-1].send_signal(signal.SIGKILL)
    log, _ = killed.communicate(timeout=600)
    assert killed.returncode == 0, log[-3000:]
    assert re.search(r"step 60 on dev: f1 [01]\.\d+, f1_tiny", log)
    assert re.search(r"from step [1-9]\d* of 60", log)

    expected = load_file(tmp_path / "whole" / "adapter" / "adapter_model.safetensors")
    resumed = load_file(tmp_path / "killed" / "adapter" / "adapter_model.safetensors")
    assert expected.keys() == resumed.keys()
    for key, value in expected.items():
        assert torch.equal(resumed[key], value)


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


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cluster")
def test_checkpoints_and_adapter_on_object_storage(tmp_path, s3_environment, monkeypatch):
    """One worker, S3; the same command again finds the result, one with other settings is refused."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    storage.file_system("s3://training")[0].mkdir("training", exist_ok=True)
    prepare(tmp_path, "llama")
    raw = settings(tmp_path, "run", steps=6, cluster={"workers": 1})
    job = GeneratorTraining.model_validate({**raw, "output": "s3://training/run"})
    url = run(train, job, result="adapter")
    assert url == "s3://training/run/adapter"
    assert storage.list_names(url) == ["adapter_config.json", "adapter_model.safetensors", "prompt.json"]
    (checkpoint,) = storage.list_folders("s3://training/run/ray")
    assert "optimizer.pt" in storage.list_names(f"s3://training/run/ray/{checkpoint}")

    storage.remove("s3://training/run/ray")
    assert run(train, job, result="adapter") == url
    assert storage.list_folders("s3://training/run/ray") == []
    with pytest.raises(ConfigError, match="rank"):
        run(train, job.model_copy(update={"rank": 4}), result="adapter")
