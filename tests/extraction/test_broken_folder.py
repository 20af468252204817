"""A folder of broken files of all formats in one job on Ray: nothing whole is lost, and nothing comes twice."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from broken_folder import FILES, UNNAMEABLE, write_broken_folder
from capital_words import run
from corpora import documents

from llmner.config import JobConfig
from llmner.documents import FILE_SOURCE
from llmner.sources.registry import FORMATS

pytestmark = pytest.mark.usefixtures("cluster")

SHOWN = UNNAMEABLE.decode(errors="backslashreplace").replace(r"\x", r"\udc")


def test_every_format_is_broken_here() -> None:
    assert {file.source for file in FILES.values()} >= {f.name for f in FORMATS if f.documents}


def test_whole_documents_come_through_and_broken_ones_are_rejected_each_once(tmp_path: Path) -> None:
    corpus = tmp_path / "痛风 and more"
    corpus.mkdir()
    write_broken_folder(corpus)
    extracted = run(JobConfig(inputs=[str(corpus)], output=str(tmp_path / "实体 of them")))
    table = documents(extracted.batch.dataset)
    assert len({row["doc_key"] for row in table}) == len(table)
    rows = defaultdict(list)
    for row in table:
        rows[Path(row["source_file"]).relative_to(corpus).parts[0]].append(row)
    assert rows.keys() == FILES.keys() | {SHOWN}
    inputs = {Path(i.uri).name: i for i in extracted.manifest.inputs}
    assert inputs.keys() == rows.keys()
    [nameable] = rows.pop(SHOWN)
    assert (nameable["source_id"], nameable["status"]) == ("91", "ok")
    for name, found in rows.items():
        good = [row for row in found if row["status"] in ("ok", "empty")]
        bad = [row for row in found if row["status"] == "rejected"]
        expected = FILES[name]
        assert len(good) == expected.good, name
        assert {row["source"] for row in good} <= {expected.source}
        assert all("Gout" in row["text"] or "痛风" in row["text"] for row in good)
        assert len(bad) == len(expected.bad), name
        for row, words in zip(bad, expected.bad, strict=True):
            assert str(corpus / name) in row["error_message"]
            assert words in row["error_message"]
            assert row["error_class"].endswith("Error")
            assert row["error_stage"] == "read"
        counts = Counter(row["status"] for row in found)
        assert {status: n for status, n in inputs[name].counts.items() if n} == counts
        assert (inputs[name].error is not None) == any(row["source"] == FILE_SOURCE for row in bad)
    assert extracted.manifest.counts["records"] == len(table)
