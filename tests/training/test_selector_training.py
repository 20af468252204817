"""Training a selector on a tiny model: it learns, it survives a stop, and it is loaded as it was trained."""

import json
from pathlib import Path

import pytest
import tiny_models
import torch
import yaml
from safetensors.torch import load_file

from llmner.errors import ConfigError, ModelError, SelectionError
from llmner.mentions import Mention
from llmner.selection.candidates import SheetCodec, read_candidates
from llmner.selection.loading import load_selector
from llmner.selection.selector import SelectionRequest, read_settings, selector_spec
from llmner.tagset import load_tag_set
from llmner.training.distributed import run
from llmner.training.generator import train as train_generator
from llmner.training.selection_corpus import SelectorTraining, collate, load_material, read_training
from llmner.training.selector import SelectorLoss, train
from llmner.training.settings import GeneratorTraining

DRUGS, ILLS = ("aspirin", "insulin", "heparin", "quinine"), ("gout", "fever", "anemia", "ulcer")


def write_files(folder: Path) -> None:
    """Sentences with a drug and an illness; candidates that are right, too long, of the wrong type or of no type."""
    types = [{"name": "Chemical", "definition": "A drug."}, {"name": "Disease", "definition": "An illness."}]
    (folder / "tags.yaml").write_text(yaml.safe_dump({"name": "tiny", "lang": "en", "types": types}))
    train, lines = [], []
    for n, (drug, ill) in enumerate((d, i) for d in DRUGS for i in ILLS):
        text = f"{drug} cured {ill} today."
        a, b = len(drug), text.index(ill)
        spans = [(0, a, "Chemical", 0.9), (b, b + len(ill), "Disease", 0.8)]
        wrong = [(b, b + len(ill) + 6, "Disease", 0.7), (0, a, "Disease", 0.6), (a + 1, a + 6, "Chemical", 0.5)]
        entities = [{"start": s, "end": e, "type": t} for s, e, t, _ in spans]
        candidates = [{"start": s, "end": e, "type": t, "score": p} for s, e, t, p in spans + wrong]
        train.append({"text": text, "entities": entities})
        about = {"tag_set": "tiny", "source": "t.jsonl", "line": n + 1, "engine": "none"}
        lines.append({"text": text, "entities": entities, "candidates": candidates, **about})
    for name, rows in (("train", train), ("unseen", lines[::2]), ("dev", lines[1::2])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(folder: Path, output: str, **changes: object) -> SelectorTraining:
    values = {
        "model": str(folder / "base"),
        "corpora": [{"name": "t", "train": str(folder / "train.jsonl"), "tag_set": str(folder / "tags.yaml")}],
        "candidates": [folder / "unseen.jsonl"],
        "dev": [folder / "dev.jsonl"],
        "output": str(folder / output),
        "rank": 8,
        "alpha": 16,
        "learning_rate": 1e-2,
        "steps": 30,
        "warmup": 2,
        "batch_tokens": 1500,
        "checkpoint_every": 10,
        "evaluate_every": 10,
        **changes,
    }
    return SelectorTraining.model_validate(values)


def trained(of: SelectorTraining) -> Path:
    return Path(run(train, of, result="selector"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.save("gemma3", tmp_path / "base")
    write_files(tmp_path)
    return tmp_path


def test_what_is_learned_is_what_is_loaded(folder):
    selector = trained(settings(folder, "run"))
    tuned = read_settings(selector)
    measured = tuned.measured["tiny"]
    assert measured["auc"] > 0.9
    assert measured["f1 of kept ones"] > measured["f1 of all candidates"] + 0.1
    assert tuned.tuned["tiny"].threshold == pytest.approx(tuned.default.threshold, abs=0.1), "there is one tag set"
    assert tuned.nesting == {"tiny": ()}
    assert 0 < tuned.default.threshold < 1
    tag_set = load_tag_set(str(folder / "tags.yaml"))
    dev = read_candidates(folder / "dev.jsonl")
    loaded = load_selector(selector_spec(str(selector)), device="cpu")
    results = loaded.judge([SelectionRequest(s.text, tag_set, s.candidates) for s in dev])
    right = [score for r in results for score in r.scores[:2]]
    wrong = [score for r in results for score in r.scores[2:]]
    assert sum(right) / len(right) > sum(wrong) / len(wrong) + 0.3
    assert loaded.fingerprint == selector_spec(str(selector)).fingerprint()


def test_a_stopped_training_goes_on_to_the_same_selector(folder, monkeypatch):
    every = {"steps": 12, "checkpoint_every": 4, "evaluate_every": 4}
    whole = trained(settings(folder, "whole", **every))
    calls = []

    def stop_after_six(module: SelectorLoss, batch: dict) -> torch.Tensor:
        calls.append(batch)
        if len(calls) > 6:
            raise KeyboardInterrupt
        return forward(module, batch)

    forward = SelectorLoss.forward
    monkeypatch.setattr(SelectorLoss, "forward", stop_after_six)
    with pytest.raises(KeyboardInterrupt):
        trained(settings(folder, "cut", **every))
    monkeypatch.undo()
    again = trained(settings(folder, "cut", **every))
    expected, resumed = (load_file(f / "adapter_model.safetensors") for f in (whole, again))
    for key, value in expected.items():
        torch.testing.assert_close(resumed[key], value, rtol=0.02, atol=1e-3)
    assert read_settings(whole) == read_settings(again)


def test_a_selector_may_begin_as_the_generator(folder):
    corpus = {"name": "t", "train": str(folder / "train.jsonl"), "tag_set": str(folder / "tags.yaml")}
    common = {"model": str(folder / "base"), "rank": 4, "alpha": 8, "batch_tokens": 400, "learning_rate": 1e-2}
    of_generator = {**common, "corpora": [corpus], "output": str(folder / "g"), "steps": 2}
    generator = run(train_generator, GeneratorTraining.model_validate(of_generator), result="adapter")
    same = {"initial_adapter": generator, "steps": 1, "warmup": 0, "learning_rate": 1e-9, "rank": 4, "alpha": 8}
    begun = trained(settings(folder, "begun", **same))
    theirs, ours = (load_file(Path(f, "adapter_model.safetensors")) for f in (generator, begun))
    assert len(ours) == len(theirs)
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key.replace(".model.model.", ".model.")], value)
    for wrong in ({"rank": 8}, {"model": tiny_models.save("glm4", folder / "other")}):
        with pytest.raises(ModelError, match="not an adapter of this model"):
            trained(settings(folder, f"wrong-{next(iter(wrong))}", **{**same, **wrong}))


def test_material_has_the_generators_mistakes_and_no_gold_among_negatives(folder, tokenizer):
    material = load_material(settings(folder, "none", type=0), SheetCodec(tokenizer))
    (annotated, weight), (found, of_found) = material.corpora
    assert (len(annotated), len(found), weight, of_found) == (8, 8, 1.0, 1.0)
    for example in found:
        assert sum(example.positive) == 2
        assert {g for g, p in zip(example.groups, example.positive, strict=True) if p} == {0, 1}
        assert len(set(example.sheet.branches)) == len(example.sheet.branches)
    batch = collate(found[:3], [1, 2])
    groups = [g for g in batch["groups"] if g is not None]
    assert set(groups) == set(range(6)), "two mentions in each sentence, numbered through"
    assert len(batch["positive"]) == sum(len(s.branches) for s in batch["sheets"]) == len(batch["groups"])


def test_settings_are_read_relative_to_the_data(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("output: o\nsteps: 3\ncandidates: [c]\ndev: [d]\ncorpora: [{name: genia, train: t}]\n")
    read = read_training(file, {"steps": 5}, data=Path("data"))
    assert (read.steps, read.candidates, read.dev) == (5, (Path("data/c"),), (Path("data/d"),))
    assert read.corpora[0].train == Path("data/t")
    more = "variants: {bce: {contrastive: 0}}\n"
    file.write_text(file.read_text() + more)
    alone = read_training(file, {}, variant="bce")
    assert (alone.contrastive, alone.output, alone.steps) == (0, "o/bce", 3)
    with pytest.raises(ConfigError, match="there are bce"):
        read_training(file, {}, variant="nce")
    with pytest.raises(ConfigError, match="dve"):
        read_training(file, {"dve": 1})
    file.write_text("output: o\ncorpora: [genia]\n")
    with pytest.raises(ConfigError, match="corpora have name and train"):
        read_training(file, {})


def test_errors_are_told(folder):
    with pytest.raises(ModelError, match="no selector here"):
        selector_spec(str(folder))
    (folder / "selector.json").write_text('{"base": 1}')
    with pytest.raises(ModelError, match="not a selector's settings"):
        read_settings(folder)
    foreign = read_candidates(folder / "dev.jsonl")[0].to_json().replace('"tiny"', '"genia"')
    (folder / "dev.jsonl").write_text(foreign + "\n")
    with pytest.raises(ConfigError, match="tag set genia"):
        trained(settings(folder, "foreign", steps=1))


def test_what_cannot_be_judged_fails_alone(folder):
    base = folder / "base"
    config = json.loads((base / "config.json").read_text()) | {"max_position_embeddings": 150}
    selector = load_selector(selector_spec(str(trained(settings(folder, "run", steps=1)))), device="cpu")
    (base / "config.json").write_text(json.dumps(config))
    short_window = load_selector(selector_spec(str(folder / "run" / "selector")), device="cpu")
    tag_set = load_tag_set(str(folder / "tags.yaml"))
    good = SelectionRequest("aspirin today", tag_set, (Mention(0, 7, "Chemical"),))
    none = SelectionRequest("nothing here", tag_set, ())
    unknown = SelectionRequest("aspirin", tag_set, (Mention(0, 7, "Planet"),))
    long = SelectionRequest("aspirin " * 40, tag_set, (Mention(0, 7, "Chemical"),))
    first, second, third, fourth = selector.judge([good, none, unknown, long])
    assert len(first.scores) == len(fourth.scores) == 1
    assert (second.scores, second.error) == ((), None)
    assert isinstance(third.error, SelectionError)
    assert "150" in str(short_window.judge([long])[0].error)
