"""The selector's stage: what it keeps, what it survives, and that its threshold can be moved afterwards."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_models
import tiny_selector
import yaml
from capital_words import MET, CapitalWordsEngine, ShortWordsSelector, run, selection
from corpora import documents, mentions, text, write_jsonl
from typer.testing import CliRunner

from llmner.cli import app
from llmner.config import JobConfig
from llmner.documents import DOCUMENT_SCHEMA, Document, documents_table
from llmner.errors import DatasetError, FingerprintMismatchError, ModelError
from llmner.extraction.monitor import Monitor
from llmner.extraction.selecting import Selection, SelectStage
from llmner.extraction.stages import SegmentStage, TagStage
from llmner.extraction.thresholds import publish_at
from llmner.tagset import load_tag_set

TAG_SETS = {"en": (load_tag_set("bc5cdr"), load_tag_set("genia"))}
WORDS = "Acute Renal Failure followed Aspirin."


def tagged(*texts: str) -> pa.Table:
    rows = documents_table([Document("jsonl", str(i), "memory", t) for i, t in enumerate(texts)])
    records = pa.array(range(len(texts)), pa.int64())
    batch = rows.append_column(pa.field("record", pa.int64(), nullable=False), records)
    engine = CapitalWordsEngine()
    stage = TagStage(lambda: engine, engine.fingerprint, TAG_SETS, Monitor())
    return stage(SegmentStage(max_length=400, run_id="r")(batch))


def select(table: pa.Table, chosen: Selection | None = None, monitor: Monitor | None = None) -> list[dict]:
    result = SelectStage(chosen or selection(), TAG_SETS, monitor or Monitor())(table)
    assert result.schema.equals(DOCUMENT_SCHEMA, check_metadata=True)
    return result.to_pylist()


def kept(row: dict, tag_set: str) -> list[str]:
    return [m["text"] for m in row["mentions"] if m["kept"] and m["tag_set"] == tag_set]


def test_rivals_and_low_scores_go_and_stay_in_the_document() -> None:
    before = tagged(WORDS).to_pylist()[0]["mentions"]
    [row] = select(tagged(WORDS))
    assert [{**m, "selector_score": None, "kept": True, "parent": None} for m in row["mentions"]] == [
        {**m, "parent": None} for m in before
    ]
    scores = {m["text"]: m["selector_score"] for m in row["mentions"]}
    assert scores["Acute"] == pytest.approx(0.75)
    assert scores["Renal Failure"] == pytest.approx(0.35)
    # Anything may nest in bc5cdr here, nothing in genia.
    assert kept(row, "bc5cdr") == ["Acute", "Renal", "Failure", "Aspirin"]
    low = selection(threshold=0.3)
    [row] = select(tagged(WORDS), low)
    assert kept(row, "bc5cdr") == ["Acute Renal", "Acute", "Renal", "Failure", "Aspirin"], "the two pairs cross"
    assert kept(row, "genia") == ["Acute", "Renal", "Failure", "Aspirin"]
    parent = next(m["parent"] for m in row["mentions"] if m["kept"] and m["text"] == "Renal")
    assert row["mentions"][parent]["text"] == "Acute Renal"


def test_score_only_keeps_all() -> None:
    [row] = select(tagged(WORDS), selection(threshold=1.0, mode="score-only"))
    assert all(m["kept"] and m["selector_score"] is not None for m in row["mentions"])
    assert any(m["parent"] is not None for m in row["mentions"])


def test_a_document_without_a_kept_mention_is_empty_and_others_pass() -> None:
    none, plain, good = select(tagged(WORDS, "nothing here", "Fever"), selection(threshold=0.7))
    assert (none["status"], plain["status"], good["status"]) == ("ok", "empty", "ok")
    [row] = select(tagged(WORDS), selection(threshold=0.99))
    assert row["status"] == "empty"
    assert row["mentions"]


def test_what_cannot_be_judged_fails_alone() -> None:
    good, bad, other = select(tagged("Aspirin", "Fine Words. UNJUDGEABLE", "Fever"))
    assert (good["status"], other["status"]) == ("ok", "ok")
    assert (bad["status"], bad["error_class"], bad["error_stage"]) == ("failed", "SelectionError", "select")


def test_another_selector_than_the_data_set_says_ends_the_job() -> None:
    monitor = Monitor()
    wrong = Selection(ShortWordsSelector, {"weights": "others"}, selection().rules, "on")
    with pytest.raises(ModelError, match="short words"):
        SelectStage(wrong, TAG_SETS, monitor)
    assert isinstance(monitor.error(), ModelError)


def job(folder: Path, output: Path, **more: object) -> JobConfig:
    values = {"inputs": [str(folder)], "output": str(output), "documents_per_file": 20, "tag_sets": {"en": ["bc5cdr"]}}
    pool = {"documents": 4, "cpus": 0.25}
    return JobConfig.model_validate({**values, "tag": pool, "select": {"mode": "on", **pool}, **more})


@pytest.mark.usefixtures("cluster")
def test_a_threshold_is_moved_without_a_model(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(30)])
    output = tmp_path / "out"
    result = run(job(corpus, output), selection=selection(0.5))
    rows, flat = documents(str(output)), mentions(str(output))
    candidates = [m for row in rows for m in row["mentions"]]
    assert 0 < len(flat) == sum(m["kept"] for m in candidates) < len(candidates)
    assert result.manifest.counts["mentions"] == len(flat)
    assert all(m["selector_score"] >= 0.5 and m["kept"] for m in flat)

    done = CliRunner().invoke(app, ["publish", str(output), "--threshold", "0.7"])
    assert done.exit_code == 0, done.output
    moved = pq.read_table(output / "mentions-0.7").to_pylist()
    assert 0 < len(moved) == sum(m["selector_score"] >= 0.7 for m in flat) < len(flat)
    assert mentions(str(output)) == flat, "what the fingerprint says stays"
    same = pq.read_table(publish_at(str(output), 0.5)).to_pylist()
    assert {m["mention_id"] for m in same} == {m["mention_id"] for m in flat}

    with pytest.raises(FingerprintMismatchError, match=r"selector\.threshold: 0.5 -> 0.6"):
        run(job(corpus, output, batch="again"), selection=selection(0.6))
    with pytest.raises(FingerprintMismatchError, match=r"selector\.mode: on -> nothing"):
        run(job(corpus, output, batch="again"))
    run(job(corpus, tmp_path / "plain"))
    with pytest.raises(DatasetError, match="no selector has scored it"):
        publish_at(str(tmp_path / "plain"), 0.5)


@pytest.mark.usefixtures("cluster")
def test_a_document_that_kills_the_selector_fails_alone(corpus: Path, tmp_path: Path) -> None:
    texts = [text(i) for i in range(12)]
    texts[5] = "LETHAL for Aspirin."
    write_jsonl(corpus / "a.jsonl", texts)
    result = run(job(corpus, tmp_path / "out"), selection=selection())
    rows = documents(str(tmp_path / "out"))
    assert [row["source_id"] for row in rows if row["status"] == "failed"] == ["d5"]
    assert (rows[5]["error_class"], rows[5]["error_stage"]) == ("WorkerDiedError", "select")
    assert result.manifest.counts["documents"] == 12
    assert result.progress.deaths > 0


@pytest.mark.usefixtures("cluster")
def test_two_generators_and_two_selectors_work_at_once(corpus: Path, tmp_path: Path) -> None:
    for i in range(8):
        write_jsonl(corpus / f"{i}.jsonl", [text(n) for n in range(8)], first=8 * i)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    pools = {stage: {"documents": 2, "cpus": 0.25, "actors": [2, 2]} for stage in ("tag", "select")}
    config = job(corpus, tmp_path / "out", tag=pools["tag"], select={"mode": "on", **pools["select"]})
    run(config, meeting=meeting, selection=selection(meeting=meeting))
    assert (meeting / MET).exists()
    assert len(documents(str(tmp_path / "out"))) == 64


@pytest.mark.usefixtures("cluster")
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
    assert parts["engine.decoding"].endswith("open bias 3")


def test_the_words_on_and_off_of_yaml(tmp_path: Path) -> None:
    from llmner.config import load_config

    file = tmp_path / "job.yaml"
    for word, mode in (("on", "on"), ("off", "off"), ("score-only", "score-only")):
        file.write_text(f"inputs: [a]\noutput: b\nselect: {{mode: {word}}}\n")
        assert load_config(file, {}).select.mode == mode
    assert json.loads(load_config(file, {}).model_dump_json())["select"]["threshold"] is None
