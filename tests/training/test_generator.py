"""Training an adapter: it learns, it survives a kill, and what it learned is what the engine loads."""

import json
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

from llmner.annotations import read_annotations
from llmner.evaluation.evaluate import evaluate
from llmner.models import load_engine
from llmner.tagset import load_tag_set
from llmner.training.corpus import batches, endless_batches, example
from llmner.training.generator import GeneratorTraining, constrained_loss, train

JOB = Path(__file__).parents[2] / "jobs" / "train_generator.py"


def write_corpus(path: Path) -> None:
    """Sentences in which one chemical and one disease are to be found."""
    lines = []
    for verb in ("cured", "caused", "worsened", "relieved"):
        for end in (" in rats.", " today.", " at 5 mg.", ""):
            text = f"aspirin {verb} gout{end}"
            start = text.index("gout")
            entities = [
                {"start": 0, "end": 7, "type": "Chemical"},
                {"start": start, "end": start + 4, "type": "Disease"},
            ]
            lines.append({"text": text, "entities": entities})
            lines.append({"text": f"nothing {verb} it{end}", "entities": []})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_tag_set(path: Path) -> None:
    """A tag set with a short prompt."""
    types = [{"name": "Chemical", "definition": "A drug."}, {"name": "Disease", "definition": "An illness."}]
    path.write_text(yaml.safe_dump({"name": "tiny", "lang": "en", "types": types}), encoding="utf-8")


def settings(folder: Path, output: str, **changes: object) -> dict:
    return {
        "model": str(folder / "base"),
        "corpora": [{"train": str(folder / "train.jsonl"), "tag_set": str(folder / "tags.yaml")}],
        "output": str(folder / output),
        "rank": 8,
        "alpha": 16,
        "learning_rate": 1e-2,
        "steps": 12,
        "warmup": 2,
        "batch_tokens": 400,
        "checkpoint_every": 3,
        **changes,
    }


@pytest.mark.parametrize("name", ["gemma3", "glm4", "qwen3"])
def test_what_is_learned_is_what_the_engine_loads(name, tmp_path):
    tiny_models.save(name, tmp_path / "base")
    write_corpus(tmp_path / "train.jsonl")
    write_tag_set(tmp_path / "tags.yaml")
    adapter = train(GeneratorTraining.model_validate(settings(tmp_path, "run", steps=40)))
    tag_set = load_tag_set(str(tmp_path / "tags.yaml"))
    sentences = read_annotations(tmp_path / "train.jsonl", types=["Chemical", "Disease"])
    before = evaluate(load_engine(str(tmp_path / "base"), device="cpu"), sentences, tag_set)
    after = evaluate(load_engine(str(tmp_path / "base"), adapter=str(adapter), device="cpu"), sentences, tag_set)
    assert before.scores.micro.f1 < 0.2
    assert after.scores.micro.f1 > 0.5
    assert after.scores.micro.recall > 0.8


def test_a_killed_training_goes_on_to_the_same_adapter(tmp_path):
    tiny_models.save("llama", tmp_path / "base")
    write_corpus(tmp_path / "train.jsonl")
    write_tag_set(tmp_path / "tags.yaml")
    whole = train(GeneratorTraining.model_validate(settings(tmp_path, "whole", steps=20)))

    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path, "killed", steps=20)))
    command = [sys.executable, str(JOB), "--config", str(config)]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    reached = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < reached < 20
    again = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert f"from batch {reached} of 20" in again.stderr

    expected = load_file(whole / "adapter_model.safetensors")
    resumed = load_file(tmp_path / "killed" / "adapter" / "adapter_model.safetensors")
    assert expected.keys() == resumed.keys()
    for key, value in expected.items():
        torch.testing.assert_close(resumed[key], value, rtol=0.02, atol=1e-3)


def test_constrained_loss_is_cross_entropy_over_the_allowed_tokens():
    torch.manual_seed(0)
    hidden, embedding = torch.randn(3, 5), torch.randn(11, 5)
    allowed = [(4, 7), (1, 2, 3), (9, 4)]
    chosen = [1, 0, 0]
    expected = 0.0
    for h, tokens, c in zip(hidden, allowed, chosen, strict=True):
        logits = embedding[list(tokens)] @ h
        expected -= float(logits.log_softmax(0)[c])
    assert float(constrained_loss(hidden, embedding, allowed, chosen)) == pytest.approx(expected, rel=1e-5)


def test_batches_hold_every_example_once_and_one_tag_set_each():
    from llmner.tagging.grammar import Vocabulary
    from llmner.tagging.units import UnitTokeniser

    tokeniser = UnitTokeniser(lambda text: [100 + ord(c) for c in text])
    vocabulary = Vocabulary(heads=((10,),), open=1, close=2, newline=3, end=4)
    examples = [
        example(tag_set, tokeniser("x" * n), {}, vocabulary, (7,)) for n in range(1, 40) for tag_set in ("a", "b")
    ]
    epoch = batches(examples, tokens=100, seed=1)
    assert sorted(i for batch in epoch for i in batch) == list(range(len(examples)))
    for batch in epoch:
        assert len({examples[i].tag_set for i in batch}) == 1
        assert sum(len(examples[i].tokens) for i in batch) <= 100 or len(batch) == 1
    assert batches(examples, tokens=100, seed=1) == epoch
    assert batches(examples, tokens=100, seed=2) != epoch
    skipped = endless_batches(examples, tokens=100, seed=1, skip=len(epoch) - 1)
    assert next(skipped) == epoch[-1]
    assert next(skipped) == batches(examples, tokens=100, seed=2)[0]
