"""``llmner extract`` with models from folders, as a job file names them."""

import json
from pathlib import Path

import pytest
import tiny_models
import tiny_selector
import yaml
from corpora import documents, text, write_jsonl
from typer.testing import CliRunner

from llmner.cli import app

pytestmark = pytest.mark.usefixtures("cluster")


def test_a_job_file_names_generator_and_selector(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tiny_models.save("gemma3", tmp_path / "base")
    tiny_selector.save(tmp_path / "base", tmp_path / "selector")
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(6)])
    pool = {"cpus": 0.5, "threads": 1}
    settings = {
        "inputs": [str(corpus)], "output": str(tmp_path / "out"), "model": base, "tag_sets": {"en": ["bc5cdr"]},
        "open_bias": 3.0, "tag": pool, "select": {**pool, "mode": True, "model": str(tmp_path / "selector")},
    }  # fmt: skip
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(settings))
    done = CliRunner().invoke(app, ["extract", "--config", str(file)])
    assert done.exit_code == 0, done.output
    assert "not trained on tag set bc5cdr" in caplog.text
    found = [m for row in documents(str(tmp_path / "out")) for m in row["mentions"]]
    assert found
    assert all(0 <= m["selector_score"] <= 1 for m in found)
    assert [m["selector_score"] >= 0.5 for m in found if m["kept"]] == [True] * sum(m["kept"] for m in found)
    parts = json.loads((tmp_path / "out" / "dataset.json").read_text())["parts"]
    assert parts["selector.threshold"] == "0.5"
    assert parts["selector.weights"].startswith("sha256 ")
    assert parts["generator.decoding"].endswith("open bias 3")


def test_rejected_documents_count_and_texts_are_shown_as_they_are(corpus: Path, tmp_path: Path) -> None:
    base = tiny_models.save("gemma3", tmp_path / "base")
    lines = [json.dumps({"id": "1", "text": "benzo[a]pyrene [/b] \x1b[31m"}), "[1, 2]", '{"id": "2"}']
    (corpus / "a.jsonl").write_text("\n".join(lines))
    (corpus / "b.jsonl").write_text('{"id": "1", "text": "Another text of that identifier."}')
    job = {
        "inputs": [str(corpus)], "output": str(tmp_path / "out"), "model": base, "tag_sets": {"en": ["bc5cdr"]},
        "open_bias": 3.0, "tag": {"cpus": 0.5, "threads": 1},
    }  # fmt: skip
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(job))
    done = CliRunner().invoke(app, ["extract", "--config", str(file)])
    assert done.exit_code == 3, done.output
    assert "2 of 3 documents were rejected or failed" in done.output
    assert "1 documents have the identifier of a later one with another text" in done.output
    assert "MalformedRecordError  2" in done.output
    assert "\x1b" not in done.output
