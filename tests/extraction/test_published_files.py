"""PubMed's own files, as they are published, if LLMNER_DATA names a folder that has them in raw/pubmed_xml."""

import os
from functools import partial
from pathlib import Path

import pytest
from capital_words import CapitalWordsEngine
from corpora import documents, mentions

from llmner.config import JobConfig
from llmner.extraction.models import Loadable
from llmner.extraction.run import extract
from llmner.models.loading import load_engine
from llmner.models.registry import generator_spec

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.skipif("LLMNER_DATA" not in os.environ, reason="LLMNER_DATA names no folder with PubMed's files"),
]


def check(output: Path, generator: Loadable, limit: int | None) -> dict[str, int]:
    """Extract, and hold every mention of both forms of the data set against its document's text; the counts."""
    inputs = (str(Path(os.environ["LLMNER_DATA"]) / "raw" / "pubmed_xml"),)
    config = JobConfig(inputs=inputs, output=str(output), limit=limit, tag={"rows_per_call": 16})
    counts = extract(config, generator=generator).manifest.counts
    rows = documents(str(output))
    texts = {row["doc_key"]: row["text"] for row in rows}
    nested = [(row["text"], m) for row in rows for m in row["mentions"]]
    flat = [(texts[m["doc_key"]], m) for m in mentions(str(output))]
    for text, m in nested + flat:
        assert 0 <= m["start"] < m["end"] <= len(text)
        assert text[m["start"] : m["end"]] == m["text"] == m["text"].strip()
    assert len(nested) == len(flat) == counts["mentions"] > 0
    assert len(rows) == counts["documents"] == counts["ok"] + counts["empty"] + counts["rejected"]
    return counts


def test_every_mention_is_its_text(tmp_path: Path) -> None:
    counts = check(tmp_path / "out", Loadable(CapitalWordsEngine, CapitalWordsEngine.fingerprint), None)
    assert counts["documents"] > 600


@pytest.mark.slow
def test_every_mention_of_the_embedded_model_is_its_text(tmp_path: Path) -> None:
    spec = generator_spec()
    counts = check(tmp_path / "out", Loadable(partial(load_engine, spec), spec.fingerprint()), 16)
    assert counts["documents"] == 16
