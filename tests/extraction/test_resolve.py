"""The plan of a run, from nothing but values."""

from collections.abc import Mapping

import pytest

from llmner.config import JobConfig
from llmner.extraction.resolve import Plan, resolve
from llmner.sources import texts
from llmner.sources.files import SourceFile
from llmner.tagset import load_tag_set

FILES = (SourceFile("s3://in/pubmed 26.xml.gz", "pubmed", 10, "a"), SourceFile("s3://in/x.jsonl", "jsonl", 20, "b"))


def plan(
    *,
    files: tuple[SourceFile, ...] = FILES,
    generator: Mapping[str, str] = {"model": "m"},
    selection: Mapping[str, str] = {},
    tag_set: str = "bc5cdr",
    **more: object,
) -> Plan:
    config = JobConfig.model_validate({"inputs": ["s3://in"], "output": "s3://out/data", **more})
    tag_sets = {"en": (load_tag_set(tag_set),)}
    return resolve(config, files=files, tag_sets=tag_sets, generator=generator, selection=selection)


def test_the_fingerprint_holds_what_shapes_answers_and_nothing_else() -> None:
    base = plan().fingerprint
    same = plan(files=FILES[:1], tag={"actors": [2, 8], "rows_per_call": 3}, documents_per_file=7, limit=4)
    assert same.fingerprint == base
    assert base.parts["texts"] == str(texts.VERSION)
    others = [
        plan(generator={"model": "n"}),
        plan(max_sentence=300),
        plan(tag_set="genia"),
        plan(selection={"weights": "w"}),
    ]
    assert len({base.hash, *(p.fingerprint.hash for p in others)}) == 5
    [line] = others[1].fingerprint.difference(base.parts)
    assert line.startswith("segmentation: ")
    assert line.endswith("at most 300")
    assert others[3].fingerprint.difference(base.parts) == ["selector.weights: nothing -> w"]


@pytest.mark.parametrize(
    "more",
    [
        {"files": FILES[:1]},
        {"files": (FILES[0], SourceFile("s3://in/x.jsonl", "jsonl", 20, "changed"))},
        {"limit": 3},
        {"fields": {"id": "pmid"}},
    ],
)
def test_what_is_read_names_the_batch_and_the_checkpoint(more: dict) -> None:
    base, other = plan(), plan(**more)
    assert plan() == base
    assert other.inputs_digest != base.inputs_digest
    assert other.checkpoint != base.checkpoint
    assert base.batch.name == f"pubmed-26-{base.inputs_digest[:8]}"


def test_everything_lies_in_the_output() -> None:
    named = plan(batch="monday")
    assert named.batch.documents == "s3://out/data/batches/monday/documents"
    assert named.checkpoint.startswith("s3://out/data/.checkpoints/monday/")
    assert [(i.uri, i.size, i.version) for i in named.inputs] == [(f.url, f.size, f.revision) for f in FILES]
    assert named.described_tag_sets[0]["types"][0]["definition"]
