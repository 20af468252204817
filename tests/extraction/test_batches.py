"""A job in batches: content that the data set holds is not read again, and a long job is committed part by part."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from capital_words import CapitalWordsEngine
from corpora import documents, text, write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from llmner.config import JobConfig
from llmner.errors import FingerprintMismatchError
from llmner.extraction.batches import BATCH_BYTES, extract_in_batches, grouped
from llmner.extraction.models import Loadable
from llmner.extraction.run import Extracted
from llmner.sources.files import SourceFile


@given(st.lists(st.integers(0, 2 * BATCH_BYTES)), st.none() | st.integers(1, 5))
def test_groups_keep_order_and_bounds(sizes: list[int], most: int | None) -> None:
    files = [SourceFile(str(i), "auto", size, "") for i, size in enumerate(sizes)]
    groups = grouped(files, most)
    assert [file for group in groups for file in group] == files
    together = [sum(f.size for f in group) for group in groups]
    for group, size in zip(groups, together, strict=True):
        assert len(group) <= most if most else len(group) == 1 or size <= BATCH_BYTES
    for group, size, following in zip(groups, together, groups[1:], strict=False):  # a group with one behind it is full
        assert len(group) == most if most else size + following[0].size > BATCH_BYTES


def job(inputs: Path, output: Path, **more: object) -> JobConfig:
    values = {"inputs": [str(inputs)], "output": str(output), "tag_sets": {"en": ["bc5cdr"]}, **more}
    return JobConfig.model_validate(values)


def run(config: JobConfig, fingerprint: dict[str, str] = CapitalWordsEngine.fingerprint) -> list[Extracted]:
    return extract_in_batches(config, generator=Loadable(CapitalWordsEngine, fingerprint))


def new(batches: Sequence[Extracted]) -> list[list[str]]:
    """The names of the files of each batch that this run has made."""
    return [[i.uri.rpartition("/")[2] for i in b.manifest.inputs] for b in batches if not b.already_done]


@pytest.mark.usefixtures("cluster")
def test_one_more_file_costs_that_file_only(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    config = job(corpus, output)
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(3)])
    write_jsonl(corpus / "c.jsonl", [text(i) for i in range(3, 6)], first=3)
    assert new(run(config)) == [["a.jsonl", "c.jsonl"]]

    os.utime(corpus / "a.jsonl", (1, 1))  # the same content, copied at another time, elsewhere
    (corpus / "again").mkdir()
    (corpus / "c.jsonl").rename(corpus / "again" / "c.jsonl")
    write_jsonl(corpus / "b.jsonl", [text(6)], first=6)
    first, second = run(config)
    assert first.already_done
    assert new([first, second]) == [["b.jsonl"]]
    assert new(run(config)) == []
    assert sorted(row["source_id"] for row in documents(str(output))) == [f"d{i}" for i in range(7)]

    write_jsonl(corpus / "b.jsonl", [text(7)], first=7)  # as long as it was
    assert new(run(config)) == [["b.jsonl"]]
    otherwise = config.model_copy(update={"fields": {"title": "id"}})
    assert new(run(otherwise)) == [["a.jsonl", "c.jsonl", "b.jsonl"]]


@pytest.mark.usefixtures("cluster")
def test_a_long_job_is_committed_part_by_part_and_goes_on_behind_the_last(corpus: Path, tmp_path: Path) -> None:
    for i in range(5):
        write_jsonl(corpus / f"{i}.jsonl", [text(i)], first=i)
    config = job(corpus, tmp_path / "out", files_per_batch=2)

    def stop(_: Extracted) -> None:
        raise KeyboardInterrupt

    generator = Loadable(CapitalWordsEngine, CapitalWordsEngine.fingerprint)
    with pytest.raises(KeyboardInterrupt):
        extract_in_batches(config, generator=generator, on_batch=stop)
    batches = run(config)
    assert [b.already_done for b in batches] == [True, False, False]
    assert new(batches) == [["2.jsonl", "3.jsonl"], ["4.jsonl"]]
    assert len(documents(str(tmp_path / "out"))) == 5

    named = job(corpus, tmp_path / "named", files_per_batch=3, batch="b")
    assert [b.manifest.batch for b in run(named)] == ["b-001", "b-002"]
    assert all(b.already_done for b in run(named))


@pytest.mark.usefixtures("cluster")
def test_other_models_are_refused_though_everything_is_held(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(1)])
    run(job(corpus, tmp_path / "out"))
    with pytest.raises(FingerprintMismatchError):
        run(job(corpus, tmp_path / "out"), {"model": "other"})


@pytest.mark.usefixtures("cluster")
def test_rejected_records_of_files_of_one_name_stay_two(corpus: Path, tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (corpus / folder).mkdir()
        (corpus / folder / "a.jsonl").write_text(f'{{"id": "{folder}", "text": "Fever."}}\n[]\n')
    [batch] = run(job(corpus, tmp_path / "out"))
    assert (batch.manifest.counts["rejected"], batch.manifest.counts["superseded"]) == (2, 0)
