"""Settings files: the bundled ones, inheritance, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from llmner.errors import ConfigError
from llmner.tagset import load_tag_set
from llmner.training.ablations import read_variants
from llmner.training.examples import asked_tag_set
from llmner.training.selection_corpus import read_training
from llmner.training.settings import read_settings, read_whole

CONFIGS = Path(__file__).parents[2] / "configs" / "training"
BASE = {"output": "out", "steps": 5, "corpora": [{"name": "bc5cdr", "train": "a.jsonl", "dev": "b.jsonl"}]}


def write(folder: Path, name: str, raw: dict) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


GENERATORS = sorted(p.name for p in CONFIGS.glob("*.yaml") if not re.search("ablations|selector", p.name))


@pytest.mark.parametrize("name", GENERATORS)
def test_bundled_settings_are_valid(name, tmp_path):
    settings = read_settings(CONFIGS / name, {}, data=tmp_path)
    for corpus in settings.corpora:
        assert asked_tag_set(corpus).types
        assert corpus.train.is_relative_to(tmp_path)


def test_bundled_ablations_are_valid(tmp_path):
    variants = read_variants(CONFIGS / "ablations.yaml", {"steps": 3}, data=tmp_path)
    assert {v.steps for v in variants.values()} == {3}
    assert len({v.output for v in variants.values()}) == len(variants) > 5
    changes = [v.identity() for v in variants.values()]
    assert all(a != b for i, a in enumerate(changes) for b in changes[:i])
    assert {c.name for c in variants["English only"].trained_on} == {"genia_raw", "bc5cdr", "ncbi_disease"}


def test_bundled_settings_of_selectors_are_valid(tmp_path):
    whole = read_training(CONFIGS / "embedded_selector.yaml", {}, data=tmp_path)
    assert all(load_tag_set(corpus.tag_set) for corpus in whole.corpora)
    variants = read_whole(CONFIGS / "selector_ablations.yaml")["variants"]
    read = {v: read_training(CONFIGS / "selector_ablations.yaml", {}, data=tmp_path, variant=v) for v in variants}
    assert len({v.output for v in read.values()}) == len(read) > 4
    assert read["bce"].contrastive == 0 != whole.contrastive


def test_a_file_holds_what_is_different_from_the_one_it_extends(tmp_path):
    write(tmp_path, "base.yaml", {**BASE, "rank": 4})
    path = write(tmp_path, "more.yaml", {"extends": "base.yaml", "epochs": 2, "alpha": 5})
    settings = read_settings(path, {"output": "elsewhere"}, data=Path("data"))
    assert (settings.rank, settings.alpha, settings.steps, settings.epochs) == (4, 5, None, 2)
    assert settings.output == "elsewhere"
    assert settings.corpora[0].train == Path("data/a.jsonl")
    more = {"name": "genia", "train": "c.jsonl"}
    path = write(tmp_path, "most.yaml", {"extends": "more.yaml", "further_corpora": [more]})
    assert [c.name for c in read_settings(path, {}, data=Path("data")).corpora] == ["bc5cdr", "genia"]
    assert read_settings(path, {"steps": 7}).epochs is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1}, "either steps or epochs"),
        ({"evaluate_every": 150}, "multiple of checkpoint_every"),
        ({"patience": 2}, "patience needs evaluate_every"),
        ({"leave_out": ["genia"]}, "no such corpus: genia"),
        ({"leave_out": ["bc5cdr"]}, "nothing to train on"),
        ({"loss": "half"}, "loss"),
        ({"rnk": 3}, "keys: output"),
        ({"corpora": BASE["corpora"] * 2}, "names of their own"),
        ({"corpora": [{"name": "x", "train": "a"}], "evaluate_every": 100}, "dev sentences"),
        ({"corpora": ["x"]}, "list of mappings"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        read_settings(write(tmp_path, "s.yaml", {**BASE, **changes}), {})


def test_unreadable_settings_are_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        read_settings(write(tmp_path, "s.yaml", {"extends": "nowhere.yaml"}), {})
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigError, match="mapping"):
        read_settings(tmp_path / "list.yaml", {})
