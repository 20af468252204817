"""A selector that weighs what a document says of its strings: fitted, stored, loaded, in documents and evaluations."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmner.annotations import AnnotatedSentence
from llmner.annotator import Annotator
from llmner.cli import app
from llmner.config import JobConfig
from llmner.documents import Document
from llmner.errors import SelectionError
from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.selection import select
from llmner.extraction.models import generator_of, selection_of
from llmner.mentions import Mention
from llmner.selection.candidates import JudgedSentence, read_candidates
from llmner.selection.loading import load_selector
from llmner.selection.selector import (
    SelectionRequest,
    SelectionResult,
    fitted_open_bias,
    read_settings,
    selector_spec,
    write_settings,
)
from llmner.selection.weighing import fit_weighing
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagset import load_tag_set

BC5CDR = load_tag_set("bc5cdr")
DRUGS = ("aspirin", "heparin", "quinine", "insulin", "codeine", "digoxin")


def judged_documents(count: int, *, source: str = "dev.jsonl") -> list[JudgedSentence]:
    """Documents about one drug. A generator is surest of it once, doubts it once, misses it once, and errs at times."""
    rng = random.Random(3)
    patterns = [("Once {} helped.", 0.95), ("Then {} did not.", 0.4), ("No more {}.", 0)]
    found = []
    for d in range(count):
        drug, wrong = rng.choice(DRUGS), rng.random() < 0.5
        for line, (text, score) in enumerate(patterns):
            start = text.index("{")
            gold = Mention(start, start + len(drug), "Chemical")
            candidates = [Mention(gold.start, gold.end, "Chemical", score)] if score else []
            if wrong and not line:
                candidates.append(Mention(0, 4, "Disease", 0.45))
            sentence = JudgedSentence(
                text.format(drug), "bc5cdr", (gold,), tuple(candidates), source, 3 * d + line + 1, "e", f"d{d}"
            )
            found.append(sentence)
    return found


class Doubting:
    """Marks ``aspirin``: sure of it in sentences that begin with ``Once``, silent in those that begin with ``No``."""

    fingerprint = {"model": "doubting"}  # noqa: RUF012

    def tag(self, requests: list[TaggingRequest]) -> list[TaggingResult]:
        return [TaggingResult(tuple(self._found(r.text)), 5, 9) for r in requests]

    @staticmethod
    def _found(text: str) -> list[Mention]:
        start = text.find("aspirin")
        if start < 0 or text.startswith("No"):
            return [Mention(0, 4, "Disease", 0.45)] if text.startswith("Else") else []
        return [Mention(start, start + 7, "Chemical", 0.95 if text.startswith("Once") else 0.4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A selector fitted to such documents."""
    folder = tmp_path_factory.mktemp("selector")
    write_settings(folder, fit_weighing(judged_documents(60), open_bias=1.5))
    return folder


def test_what_it_earns_is_measured_on_documents_it_was_not_fitted_to(folder: Path) -> None:
    measured = read_settings(str(folder)).measured["bc5cdr"]
    assert measured["sentences"] == 180
    assert measured["f1 of all candidates"] == pytest.approx(2 * 120 / (120 + 33 + 180), abs=0.02)
    assert measured["f1 of kept ones"] == 1
    assert fitted_open_bias(str(folder)) == 1.5
    assert fitted_open_bias(None) == 0


def test_a_document_tells_what_a_sentence_does_not(folder: Path) -> None:
    selector = load_selector(selector_spec(str(folder)))
    assert set(selector.fingerprint) == {"weights", "evidence"}
    text = "Then aspirin did not."
    doubted = (Mention(5, 12, "Chemical", 0.4),)
    requests = [
        SelectionRequest("Once aspirin helped.", BC5CDR, (Mention(5, 12, "Chemical", 0.95),), "a"),
        SelectionRequest(text, BC5CDR, doubted, "a"),
        SelectionRequest(text, BC5CDR, doubted, "b"),
        SelectionRequest(text, BC5CDR, doubted),
        SelectionRequest("No more aspirin.", BC5CDR, (), "a"),
    ]
    sure, beside, elsewhere, alone, proposed = selector.judge(requests)
    assert sure.scores[0] > 0.9
    assert beside.scores[0] > elsewhere.scores[0] + 0.1
    assert elsewhere == alone
    [(repeat, score)] = proposed.repeats
    assert (repeat.start, repeat.end, repeat.type, repeat.written) == (8, 15, "Chemical", False)
    assert score > 0.5
    assert proposed.scores == ()


def test_documents_get_their_repeats(folder: Path) -> None:
    settings = read_settings(str(folder))
    selector = load_selector(selector_spec(str(folder)))
    texts = ["Once aspirin helped. Then aspirin did not. No more aspirin.", "Else fine."]
    documents = [Document("s", str(i), "", text) for i, text in enumerate(texts)]
    tag_sets = {"en": [BC5CDR]}
    first, second = Annotator(Doubting(), tag_sets, selector=selector, rules=settings.rules()).annotate(documents)
    assert [(m["start"], m["text"], m["match"], m["kept"]) for m in first["mentions"]] == [
        (5, "aspirin", "exact", True),
        (26, "aspirin", "exact", True),
        (51, "aspirin", "repeat", True),
    ]
    assert [m["sentence"] for m in first["mentions"]] == [0, 1, 2]
    assert first["mentions"][2]["generator_score"] == 0
    assert [(m["text"], m["kept"]) for m in second["mentions"]] == [("Else", False)]
    assert (first["status"], second["status"]) == ("ok", "empty")
    scored, _ = Annotator(Doubting(), tag_sets, selector=selector, rules=None).annotate(documents)
    assert [m["kept"] for m in scored["mentions"]] == [True, True, False], "scored only: what was found stays"


def test_an_evaluation_counts_repeats(folder: Path) -> None:
    texts = ["Once aspirin helped.", "Then aspirin did not.", "No more aspirin."]
    gold = [(5, 12), (5, 12), (8, 15)]
    sentences = [
        AnnotatedSentence(text, (Mention(start, end, "Chemical"),), "a")
        for text, (start, end) in zip(texts, gold, strict=True)
    ]
    results = Doubting().tag([TaggingRequest(text, BC5CDR) for text in texts])
    before = Evaluation("notes", BC5CDR, sentences, results, seconds=1.0)
    selected = select(load_selector(selector_spec(str(folder))), read_settings(str(folder)), before)
    assert before.scores.micro.recall == pytest.approx(2 / 3)
    assert selected.evaluation.scores.micro.f1 == 1
    assert selected.judged[1] == [True] * 3


def test_a_document_that_failed_gets_no_repeats() -> None:
    class HalfBroken:
        """Proposes something in every sentence, and cannot judge the first."""

        fingerprint = {"weights": "half broken"}  # noqa: RUF012

        def judge(self, requests: list[SelectionRequest]) -> list[SelectionResult]:
            proposed = ((Mention(0, 2, "Disease", 0.0, match="repeat"), 0.9),)
            first, *others = requests
            answers = [SelectionResult((0.9,) * len(r.candidates), repeats=proposed) for r in others]
            return [SelectionResult(error=SelectionError(f"{first.text} cannot be judged")), *answers]

    documents = [Document("s", "1", "", "Once aspirin helped. No more aspirin.")]
    [row] = Annotator(Doubting(), {"en": [BC5CDR]}, selector=HalfBroken()).annotate(documents)
    assert (row["status"], row["mentions"], row["error_stage"]) == ("failed", [], "select")


def test_the_command_fits(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        sentences = judged_documents(30, source=file.name)
        file.write_text("".join(s.to_json() + "\n" for s in sentences), encoding="utf-8")
        assert read_candidates(file) == sentences
    output = tmp_path / "made" / "selector"
    command = ["train", "weights", *map(str, files), "--output", str(output), "--open-bias", "1"]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "bc5cdr" in result.output
    settings = json.loads((output / "selector.json").read_text())
    assert settings["base"] is None
    assert settings["open_bias"] == 1
    assert settings["nesting"] == {"bc5cdr": []}


def test_a_job_takes_the_bias_that_its_selector_was_fitted_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(f"base: {tmp_path}\nselector: {folder}\n")
    (tmp_path / "plain.yaml").write_text(f"base: {tmp_path}\n")

    def job(model: str = "model", **more: object) -> JobConfig:
        values = {"inputs": ["x"], "output": str(tmp_path), "model": str(tmp_path / f"{model}.yaml"), **more}
        return JobConfig.model_validate(values)

    def bias(config: JobConfig) -> str:
        return generator_of(config).fingerprint["decoding"].partition("open bias ")[2]

    named = {"mode": "on", "model": str(folder)}
    assert bias(job()) == bias(job("plain", select=named)) == "1.5"
    assert bias(job(open_bias=0.5)) == "0.5"
    assert bias(job(select={"mode": "off"})) == bias(job("plain")) == ""
    assert bias(job(engine="vllm")) == "", "it drafts"
    selection = selection_of(job())
    assert (selection.mode, selection.reads) == ("on", False)
    assert selection_of(job(select={"mode": "score-only"})).mode == "score-only"
    assert selection_of(job("plain")) is None
    assert selection_of(job(select={"mode": "off"})) is None
