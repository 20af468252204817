"""The job that a cluster runs: submitted to a Ray head of the test's own, with a small random model from a folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from corpora import documents, text, write_jsonl

from llmner.dataset.reading import open_committed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]
RAY = Path(sys.executable).with_name("ray")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def head() -> Iterator[str]:
    """The address of a Ray head for jobs."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for a socket's path has at most 107 bytes
    gcs, dashboard, client, agent, grpc, metrics, runtime_env = free_ports(7)
    options = {
        "port": gcs,
        "dashboard-port": dashboard,
        "ray-client-server-port": client,
        "dashboard-agent-listen-port": agent,
        "dashboard-agent-grpc-port": grpc,
        "metrics-export-port": metrics,
        "runtime-env-agent-port": runtime_env,
        "num-cpus": 4,
        "object-store-memory": 200 << 20,
        "temp-dir": folder,
        "node-ip-address": "127.0.0.1",
        "dashboard-host": "127.0.0.1",
    }
    command = [str(RAY), "start", "--head", "--block", "--disable-usage-stats"]
    command += [f"--{key}={value}" for key, value in options.items()]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {"RAY_AUTH_MODE": "disabled", "PATH": f"{RAY.parent}:{os.environ['PATH']}"}
    log = Path(folder) / "head.log"
    with log.open("wb") as output:
        head = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    started: list[psutil.Process] = []
    try:
        url = f"http://127.0.0.1:{dashboard}"
        _wait_until_it_answers(f"{url}/api/version", head, log)
        started = psutil.Process(head.pid).children(recursive=True)
        yield url
    finally:
        started += psutil.Process(head.pid).children(recursive=True) if head.poll() is None else []
        head.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([psutil.Process(head.pid), *started] if head.poll() is None else started, 30)
        for process in alive:
            process.kill()
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_answers(url: str, head: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert head.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a few thousand random weights, and a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces = ["<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    folder = tmp_path / "model"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<bos>", eos_token="<eos>")
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(pieces), **size, num_key_value_heads=1, max_position_embeddings=4096)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_job_submitted_to_a_head(head: str, model: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for part in ("llmner", "jobs", "configs"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    write_jsonl(tmp_path / "a.jsonl", [text(i) for i in range(12)])
    job = {
        "inputs": [str(tmp_path / "a.jsonl")],
        "output": str(tmp_path / "out"),
        "model": str(model),
        "tag_sets": {"en": ["bc5cdr"]},
        "tag": {"rows_per_call": 4, "threads": 1},
    }
    (project / "job.yaml").write_text(yaml.safe_dump(job))
    command = [str(RAY), "job", "submit", "--address", head, "--working-dir", str(project), "--"]
    command += [sys.executable, "jobs/extract.py", "--config", "job.yaml"]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    for again in (False, True):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        assert "succeeded" in done.stdout
        assert ("was done before" in done.stdout) == again
        assert [row["source_id"] for row in documents(str(tmp_path / "out"))] == [f"d{i}" for i in range(12)]
    [manifest] = open_committed(str(tmp_path / "out")).manifests
    assert manifest.counts["failed"] == 0
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["parts"]["generator.model"] == str(model)
