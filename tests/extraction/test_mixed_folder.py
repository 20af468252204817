"""A folder of all formats in one job on Ray: what comes from where, and in which part of it a mention stands."""

from pathlib import Path

import pytest
from capital_words import run
from mixed_folder import SOURCES, write_mixed_folder

import llmner
from llmner.config import JobConfig

pytestmark = pytest.mark.usefixtures("cluster")


def test_each_file_gives_its_document(corpus: Path, tmp_path: Path) -> None:
    write_mixed_folder(corpus)
    config = JobConfig(inputs=[str(corpus)], output=str(tmp_path / "entities"))
    extracted = run(config)
    snapshot = llmner.open_dataset(config.output)
    documents = snapshot.documents.to_table(["source", "source_file", "lang", "status", "text"]).to_pylist()
    table = sorted((Path(d["source_file"]).relative_to(corpus).parts[0], d["source"]) for d in documents)
    assert table == list(zip(sorted(p.name for p in corpus.iterdir()), SOURCES, strict=True))
    assert {d["status"] for d in documents} <= {"ok", "empty"}
    assert {d["lang"] for d in documents} == {"en", "zh"}
    assert all("Gout" in d["text"] or "痛风" in d["text"] for d in documents)
    assert [sum(i.counts.values()) for i in extracted.manifest.inputs] == [1] * len(SOURCES)
    mentions = snapshot.mentions.to_table(["source", "text", "part_kind", "section"]).to_pylist()
    found = {(m["source"], m["text"], m["part_kind"], m["section"]) for m in mentions}
    assert {("jats", "Gout", "title", ""), ("jats", "Colchicine", "methods", "Methods")} <= found
