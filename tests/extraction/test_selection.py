"""Runs with a selector: its own workers, its documents that kill them, its place in the fingerprint."""

from pathlib import Path

import pytest
from capital_words import MET, run, selection
from corpora import documents, mentions, text, write_jsonl

from llmner.config import JobConfig
from llmner.errors import FingerprintMismatchError
from llmner.extraction.models import selection_of
from llmner.selection.calibration import Calibration
from llmner.selection.selector import SelectorSettings, Tuning, write_settings

pytestmark = pytest.mark.usefixtures("cluster")


def job(folder: Path, output: Path, **more: object) -> JobConfig:
    values = {"inputs": [str(folder)], "output": str(output), "documents_per_file": 20, "tag_sets": {"en": ["bc5cdr"]}}
    pool = {"rows_per_call": 4, "cpus": 0.25}
    return JobConfig.model_validate({**values, "tag": pool, "select": {"mode": "on", **pool}, **more})


def test_what_the_rules_keep_is_published_and_other_rules_are_refused(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(30)])
    output = tmp_path / "out"
    result = run(job(corpus, output), selection=selection(0.5))
    candidates = [m for row in documents(str(output)) for m in row["mentions"]]
    flat = mentions(str(output))
    assert 0 < len(flat) == sum(m["kept"] for m in candidates) < len(candidates)
    assert result.manifest.counts["mentions"] == len(flat)
    assert all(m["selector_score"] >= 0.5 and m["kept"] for m in flat)
    with pytest.raises(FingerprintMismatchError, match=r"selector\.threshold: 0.5 -> 0.6"):
        run(job(corpus, output, batch="again"), selection=selection(0.6))
    with pytest.raises(FingerprintMismatchError, match=r"selector\.mode: on -> nothing"):
        run(job(corpus, output, batch="again"))


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


def test_two_generators_and_two_selectors_work_at_once(corpus: Path, tmp_path: Path) -> None:
    for i in range(8):
        write_jsonl(corpus / f"{i}.jsonl", [text(n) for n in range(8)], first=8 * i)
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    pools = {stage: {"rows_per_call": 2, "cpus": 0.25, "actors": [2, 2]} for stage in ("tag", "select")}
    config = job(corpus, tmp_path / "out", tag=pools["tag"], select={"mode": "on", **pools["select"]})
    run(config, meeting=meeting, selection=selection(meeting=meeting))
    assert (meeting / MET).exists()
    assert len(documents(str(tmp_path / "out"))) == 64


def test_a_selector_that_reads_nothing_again_works_beside_the_generator(corpus: Path, tmp_path: Path) -> None:
    weights = Calibration(weights={"generator": 1.0, "proposed": 3.0})
    (tmp_path / "selector").mkdir()
    write_settings(tmp_path / "selector", SelectorSettings(default=Tuning(calibration=weights, threshold=0.3)))
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(6)] + ["Gastric Ulcer heals. A gastric ulcer returns."])
    config = job(corpus, tmp_path / "out", select={"mode": "on", "model": str(tmp_path / "selector")})
    result = run(config, selection=selection_of(config))
    row = documents(str(tmp_path / "out"))[6]
    found = [(m["text"], m["type"], m["match"], m["kept"]) for m in row["mentions"]]
    # Of single words the engine is not sure, of pairs it is.
    assert found[:2] == [("Gastric Ulcer", "Disease", "exact", True), ("Gastric", "Chemical", "exact", False)]
    assert ("gastric ulcer", "Disease", "repeat", True) in found
    flat = [m for m in mentions(str(tmp_path / "out")) if m["source_id"] == "d6"]
    assert {(m["text"], m["match"]) for m in flat} == {("Gastric Ulcer", "exact"), ("gastric ulcer", "repeat")}
    assert result.manifest.counts["documents"] == 7
