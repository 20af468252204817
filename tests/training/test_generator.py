"""Training an adapter: it learns, it survives a kill, and what it learned is what the engine loads."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_models
import torch
import yaml
from safetensors.torch import load_file
from tiny_training import settings, write_corpus, write_tag_set

from llmner.annotations import read_annotations
from llmner.evaluation.evaluate import evaluate
from llmner.models import load_engine
from llmner.tagset import load_tag_set
from llmner.training.distributed import run
from llmner.training.generator import train
from llmner.training.settings import GeneratorTraining

JOB = Path(__file__).parents[2] / "jobs" / "train_generator.py"


@pytest.mark.parametrize("name", ["gemma3", "glm4", "qwen3"])
def test_what_is_learned_is_what_the_engine_loads(name, tmp_path):
    tiny_models.save(name, tmp_path / "base")
    write_corpus(tmp_path / "train.jsonl")
    write_tag_set(tmp_path / "tags.yaml")
    job = GeneratorTraining.model_validate(settings(tmp_path, "run", steps=40, checkpoint_every=40))
    adapter = run(train, job, result="adapter")
    tag_set = load_tag_set(str(tmp_path / "tags.yaml"))
    sentences = read_annotations(tmp_path / "train.jsonl", types=["Chemical", "Disease"])
    before = evaluate(load_engine(str(tmp_path / "base"), device="cpu"), sentences, tag_set)
    after = evaluate(load_engine(str(tmp_path / "base"), adapter=adapter, device="cpu"), sentences, tag_set)
    assert before.scores.micro.f1 < 0.2
    assert after.scores.micro.f1 > 0.5
    assert after.scores.micro.recall > 0.8


def test_a_killed_training_goes_on_to_the_same_adapter(tmp_path):
    tiny_models.save("llama", tmp_path / "base")
    write_corpus(tmp_path / "train.jsonl")
    write_tag_set(tmp_path / "tags.yaml")
    whole = run(train, GeneratorTraining.model_validate(settings(tmp_path, "whole", steps=20)), result="adapter")

    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path, "killed", steps=20)))
    command = [sys.executable, str(JOB), "--config", str(config)]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not [*(tmp_path / "killed").glob("checkpoint-*/trainer_state.json")] and time.monotonic() < deadline:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "killed" / "adapter").exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert "from step 0 of 20" not in again.stderr
    assert "of 20, 1 process" in again.stderr

    expected = load_file(Path(whole, "adapter_model.safetensors"))
    resumed = load_file(tmp_path / "killed" / "adapter" / "adapter_model.safetensors")
    assert expected.keys() == resumed.keys()
    for key, value in expected.items():
        assert torch.equal(resumed[key], value)
