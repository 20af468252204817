"""A corpus as examples: its types under the tag set's, parts of them, thinning, and dev sentences kept out."""

import json

import pytest
import tiny_models

from llmner.errors import ConfigError
from llmner.tagging.codec import Codec
from llmner.tagging.prompts import Form
from llmner.training.examples import asked_tag_set, read_corpora, read_sentences
from llmner.training.settings import CorpusSettings, GeneratorTraining

TYPES = {"Drug": "Chemical", "Amino_acid": "Chemical", "Organism": "Species"}


@pytest.fixture(scope="module")
def codec():
    return Codec(tiny_models.byte_tokenizer(), Form(layout="inline"))


def write(path, count, text="mice were given glycine and aspirin"):
    lines = []
    for i in range(count):
        entities = [
            {"start": 0, "end": 4, "type": "Organism"},
            {"start": 16, "end": 23, "type": "Amino_acid"},
            {"start": 28, "end": 35, "type": "Drug"},
            {"start": 5, "end": 9, "type": "Cell"},
        ]
        lines.append({"text": f"{text} {i}", "entities": entities if i % 2 else []})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def training(folder, dev=None, **changes):
    corpus = {"name": "c", "tag_set": "biomed", "types": TYPES, "train": write(folder / "train.jsonl", 200), **changes}
    return GeneratorTraining(output="out", steps=1, corpora=({**corpus, "dev": dev},), layout="inline")


def test_a_corpus_is_asked_for_what_it_annotates(tmp_path, codec):
    settings = training(tmp_path)
    (corpus,) = settings.corpora
    assert [t.name for t in asked_tag_set(corpus).types] == ["Chemical", "Species"]
    types = [[m.type for m in s.mentions] for s in read_sentences(corpus, corpus.train)]
    assert types == [[], ["Species", "Chemical", "Chemical"]] * 100
    corpora = read_corpora(settings, codec)
    assert [[t.name for t in tag_set.types] for tag_set in corpora.asked.values()] == [["Chemical", "Species"]]
    assert len(corpora.examples[0]) == 200


def test_some_sentences_are_asked_for_a_part_and_answer_that(tmp_path, codec):
    corpora = read_corpora(training(tmp_path, partial=0.3), codec)
    parts = {digest: tuple(t.name for t in tag_set.types) for digest, tag_set in corpora.asked.items()}
    assert set(parts.values()) == {("Chemical", "Species"), ("Chemical",), ("Species",)}
    by_part = {part: [e for e in corpora.examples[0] if parts[e.tag_set] == part] for part in parts.values()}
    assert 40 <= len(by_part["Chemical",]) + len(by_part["Species",]) <= 80
    lengths = {part: max(e.fed for e in examples) for part, examples in by_part.items()}
    assert lengths["Species",] < lengths["Chemical",] < lengths["Chemical", "Species"]


def test_sentences_without_mentions_are_thinned_the_same_way_each_time(tmp_path, codec):
    first, again = (read_corpora(training(tmp_path, empty=0.2), codec).examples[0] for _ in range(2))
    assert 105 <= len(first) <= 140
    assert [e.tokens.tolist() for e in first] == [e.tokens.tolist() for e in again]


def test_a_sentence_to_measure_on_is_not_trained_on(tmp_path, codec):
    """White space apart; very short sentences are in every corpus."""
    dev = write(tmp_path / "dev.jsonl", 3, text="mice  were given\tglycine and aspirin")
    with pytest.raises(ConfigError, match=r"train.jsonl and .*dev.jsonl: 3 sentences .*'mice were given glycine"):
        read_corpora(training(tmp_path, dev), codec)
    (tmp_path / "short.jsonl").write_text('{"text": "given to mice", "entities": []}\n', encoding="utf-8")
    train = tmp_path / "short.jsonl"
    settings = training(tmp_path, train)
    corpus = settings.corpora[0].model_copy(update={"train": train})
    assert len(read_corpora(settings.model_copy(update={"corpora": (corpus,)}), codec).examples[0]) == 1


def test_a_map_to_an_unknown_type_is_refused(tmp_path):
    corpus = CorpusSettings(name="c", tag_set="biomed", types={"Drug": "Medicine"}, train=tmp_path / "a.jsonl")
    with pytest.raises(ConfigError, match="biomed has no type Medicine"):
        asked_tag_set(corpus)
