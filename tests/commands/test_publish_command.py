"""``llmner publish``: a threshold is moved without a model."""

import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from capital_words import run, selection
from corpora import mentions, text, write_jsonl
from typer.testing import CliRunner

from llmner.cli import app
from llmner.commands import progress
from llmner.config import JobConfig

pytestmark = pytest.mark.usefixtures("cluster")


def job(folder: Path, output: Path, **more: object) -> JobConfig:
    return JobConfig.model_validate({"inputs": [str(folder)], "output": str(output), "documents_per_file": 20, **more})


def publish(output: Path, threshold: float) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["publish", str(output), "--threshold", str(threshold)])
    return done.exit_code, " ".join(done.output.split())


def test_a_threshold_is_moved_without_a_model(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(30)])
    output = tmp_path / "out"
    run(job(corpus, output), selection=selection(0.5))
    flat = mentions(str(output))
    assert publish(output, 0.7) == (0, f"Mentions {output}/mentions-0.7")
    moved = pq.read_table(output / "mentions-0.7").to_pylist()
    assert 0 < len(moved) == sum(m["selector_score"] >= 0.7 for m in flat) < len(flat)
    assert mentions(str(output)) == flat, "what the fingerprint says stays"
    publish(output, 0.5)
    same = pq.read_table(output / "mentions-0.5").to_pylist()
    assert {m["mention_id"] for m in same} == {m["mention_id"] for m in flat}

    write_jsonl(corpus / "b.jsonl", [text(i) for i in range(30, 40)], first=30)
    run(job(corpus / "b.jsonl", output), selection=selection(0.5))
    caplog.set_level(logging.INFO, "llmner")
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    publish(output, 0.7)
    assert "2 of 2 files" in caplog.text
    assert len(list((output / "mentions-0.7").iterdir())) == 2, "what was committed since is added"


def test_a_data_set_without_scores_is_refused(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    run(job(corpus, tmp_path / "plain"))
    code, said = publish(tmp_path / "plain", 0.5)
    assert code == 1
    assert "no selector has scored it" in said
