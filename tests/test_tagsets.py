"""Tag sets: those that come with the package hold what prompts and corpora need, and what is no tag set is told."""

import os
import re
from pathlib import Path

import pytest

from llmner.annotations import read_annotations
from llmner.errors import ConfigError
from llmner.tagset import bundled_tag_sets, load_tag_set

CORPORA = Path(os.environ["LLMNER_DATA"]) / "corpora" if "LLMNER_DATA" in os.environ else None
# Corpora that are annotated with the tag set of another one.
SHARED = {"genia_raw": "genia"}


@pytest.mark.parametrize("name", bundled_tag_sets())
def test_bundled_tag_sets_can_be_shown_to_a_model(name: str) -> None:
    tag_set = load_tag_set(name)
    assert tag_set.name == name
    assert len({t.definition for t in tag_set.types}) == len(tag_set.types)
    for t in tag_set.types:
        # One sentence; each costs its tokens in every prompt.
        assert len(t.label) <= 40
        assert re.fullmatch(r"[^\n]+[.。]", t.definition)
        han = re.findall(r"[\u4e00-\u9fff]", t.definition)
        if tag_set.lang == "zh":
            assert 8 <= len(t.definition) <= 50
            assert len(han) > len(t.definition) / 2
            assert re.search(r"[\u4e00-\u9fff]", t.label)
        else:
            assert 5 <= len(t.definition.split()) <= 25
            assert not han
            assert t.label.isascii()


@pytest.mark.skipif(CORPORA is None, reason="LLMNER_DATA names no folder with corpora")
@pytest.mark.parametrize("corpus", sorted(p.name for p in CORPORA.iterdir()) if CORPORA else [])
def test_every_type_of_a_corpus_is_in_its_tag_set(corpus: str) -> None:
    tag_set = load_tag_set(SHARED.get(corpus, corpus))
    known = {t.name for t in tag_set.types}
    files = [p for p in (CORPORA / corpus / f"{part}.jsonl" for part in ("train", "dev")) if p.exists()]
    # Reading refuses types that are not known.
    occurring = {m.type for file in files for s in read_annotations(file, types=known) for m in s.mentions}
    assert occurring == known


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: x\nlang: en\ntypes: []\n", "must be there and unique"),
        ("name: x\nlang: en\ntypes: [{name: a, definition: d}, {name: b, label: a, definition: d}]\n", "unique"),
        ("name: x\nlang: en\ntypes: [{name: a, label: 'a:b', definition: d}]\n", "bracket, colon or newline"),
        ("name: x\nlang: en\ntypes: [{name: a}]\n", "needs name, lang and types"),
        ("{", "not YAML"),
    ],
)
def test_what_is_no_tag_set_is_told(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_tag_set(str(file))


def test_a_part_of_a_tag_set_keeps_name_and_order() -> None:
    whole = load_tag_set("biomed")
    part = whole.narrowed(["Species", "Gene"])
    assert [t.name for t in part.types] == ["Gene", "Species"]
    assert part.name == whole.name
    assert part.digest != whole.digest
    assert load_tag_set("biomed:Species, Gene") == part
    with pytest.raises(ConfigError, match="biomed has no type Virus"):
        load_tag_set("biomed:Gene,Virus")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no tag set 'none'.*cmedqaner"):
        load_tag_set("none")
