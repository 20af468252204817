"""What a selector earns: figures against counting by hand, and the whole command on a tiny generator and selector."""

import json
from datetime import date
from pathlib import Path
from typing import ClassVar

import lxml.html
import pytest
import tiny_models
import tiny_selector
from typer.testing import CliRunner

from llmner.annotations import AnnotatedSentence
from llmner.cli import app
from llmner.errors import SelectionError
from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.selection import select
from llmner.mentions import Mention
from llmner.report.evaluation import evaluation_page
from llmner.selection.selector import SelectionRequest, SelectionResult, SelectorSettings, Tuning
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set

BC5CDR = load_tag_set("bc5cdr")
TEXT = "aspirin and lithium caused gout"
GOLD = {(0, 7, "Chemical"): 0.9, (27, 31, "Disease"): 0.4}
WRONG = {(0, 11, "Chemical"): 0.8, (12, 19, "Disease"): 0.3, (20, 26, "Disease"): 0.6}


class GivenScores:
    """Scores by span; a text with ``?`` cannot be judged."""

    fingerprint: ClassVar[dict[str, str]] = {}

    def judge(self, requests: list[SelectionRequest]) -> list[SelectionResult]:
        scores = GOLD | WRONG
        return [
            SelectionResult(error=SelectionError("no"))
            if "?" in r.text
            else SelectionResult(tuple(scores[m.start, m.end, m.type] for m in r.candidates))
            for r in requests
        ]


def generated(text: str = TEXT) -> Evaluation:
    gold = tuple(Mention(*span) for span in GOLD)
    sentences = [AnnotatedSentence(text, gold), AnnotatedSentence("nothing", ())]
    results = [TaggingResult(tuple(Mention(*span) for span in sorted(GOLD | WRONG)), 6, 9), TaggingResult((), 1, 2)]
    return Evaluation("notes", BC5CDR, sentences, results, seconds=2.0)


def test_figures_with_and_without() -> None:
    settings = SelectorSettings(base="none", tuned={"bc5cdr": Tuning(threshold=0.35)}, nesting={"bc5cdr": ()})
    told: list[tuple[int, int]] = []
    selected = select(GivenScores(), settings, generated(), progress=lambda *counts: told.append(counts))
    assert told == [(2, 2)]
    with_selector = selected.evaluation
    # (0, 11) loses to (0, 7), (12, 19) is below the threshold.
    assert with_selector.predicted == [[(0, 7, "Chemical"), (20, 26, "Disease"), (27, 31, "Disease")], []]
    assert selected.before.scores.micro.precision == pytest.approx(2 / 5)
    assert with_selector.scores.micro.precision == pytest.approx(2 / 3)
    assert selected.comparison.difference == pytest.approx(4 / 5 - 4 / 7)
    assert with_selector.seconds > 2.0
    assert selected.curve == [(0.5, 1.0), (0.5, 0.5), (1.0, pytest.approx(2 / 3)), (1.0, 0.5)]
    assert selected.area_under_curve == pytest.approx((3 + 1) / 6)
    assert sum(n for _, _, n in selected.reliability) == 5
    figures = with_selector.to_dict()["selector"]
    assert figures["f1_difference"]["value"] == pytest.approx(4 / 5 - 4 / 7)
    assert "selector" not in selected.before.to_dict()


def test_a_sentence_that_cannot_be_judged_counts_with_nothing_found() -> None:
    selected = select(GivenScores(), SelectorSettings(base="none"), generated(TEXT + "?"))
    assert selected.evaluation.failed == 1
    assert selected.evaluation.predicted == [[], []]
    assert selected.judged == ([], [])


def test_the_page_shows_what_the_selector_does() -> None:
    selected = select(GivenScores(), SelectorSettings(base="none", default=Tuning(threshold=0.35)), generated())
    page = lxml.html.document_fromstring(
        evaluation_page([selected.before, selected.evaluation], {"model": "tiny"}, date(2026, 11, 22))
    )
    titles = page.xpath("//h3/text()")
    assert titles.count("Selector: what it keeps") == titles.count("Selector: calibration") == 1
    assert page.xpath("//tr[td='with selector']/td/text()")[1:3] == ["2", "4"]
    plots = page.xpath("//section[h3[starts-with(., 'Selector')]]//img")
    assert len(plots) == 2


def test_the_command_measures_both(tmp_path: Path) -> None:
    tiny_models.save("gemma3", tmp_path / "base")
    tiny_selector.save(tmp_path / "base", tmp_path / "selector")
    lines = [{"text": TEXT, "entities": [{"start": s, "end": e, "type": t} for s, e, t in GOLD]}] * 3
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["evaluate", "--data", tmp_path / "dev.jsonl", "--tag-set", "bc5cdr", "--model", tmp_path / "base"]
    more = ["--selector", tmp_path / "selector", "--open-bias", 3, "--json", tmp_path / "figures.json"]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*map(str, command), *map(str, more)])
    assert result.exit_code == 0, result.output
    assert "by the selector, calibration error" in " ".join(result.output.split())
    written = json.loads((tmp_path / "figures.json").read_text())
    assert [("selector" in c) for c in written["corpora"]] == [False, True]
    assert written["engine"]["decoding"].endswith("open bias 3")
    assert written["engine"]["selector weights"].startswith("sha256 ")
    assert written["corpora"][1]["selector"]["candidates"] > 0

    missing = CliRunner().invoke(app, [*map(str, command), "--selector", str(tmp_path)])
    assert missing.exit_code == 1
    assert "no selector here" in missing.output


def test_candidates_of_a_tiny_generator(tmp_path: Path) -> None:
    from llmner.selection.candidates import read_candidates

    base = tiny_models.save("gemma3", tmp_path / "base")
    lines = [{"text": f"{TEXT} {i}", "entities": []} for i in range(6)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ["candidates", "--data", tmp_path / "train.jsonl", "--tag-set", "bc5cdr", "--model", base]
    more = ["--output", tmp_path / "c.jsonl", "--open-bias", 3, "--sentences", 4]
    result = CliRunner().invoke(app, [*map(str, command), *map(str, more)])
    assert result.exit_code == 0, result.output
    read = read_candidates(tmp_path / "c.jsonl")
    assert len(read) == 4
    assert [s.text for s in read] == [f"{TEXT} {s.line - 1}" for s in read], "in their order, numbered from 1"
    assert any(s.candidates for s in read)
    for m in (m for s in read for m in s.candidates):
        assert 0 < m.score <= 1
        assert m.end <= len(TEXT) + 2
