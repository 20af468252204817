"""``llmner evaluate`` from annotated sentences to figures, with a real engine."""

import json
from pathlib import Path

import lxml.html
import pytest
import tiny_models
from typer.testing import CliRunner

from llmner.annotations import AnnotatedSentence
from llmner.cli import app
from llmner.errors import TaggingError
from llmner.evaluation.evaluate import Evaluation
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set

SENTENCES = [
    {"text": "aspirin caused gout", "entities": [{"start": 0, "end": 7, "type": "Chemical"}]},
    {"text": "nothing happened", "entities": []},
    {"text": "lithium helped", "entities": [{"start": 0, "end": 7, "type": "Chemical"}]},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.save("llama", tmp_path_factory.mktemp("model"))


def corpus(folder: Path, sentences: list[dict] = SENTENCES) -> Path:
    folder.mkdir()
    (folder / "dev.jsonl").write_text("".join(json.dumps(s) + "\n" for s in sentences), encoding="utf-8")
    return folder / "dev.jsonl"


def evaluate(*options: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "150"}).invoke(app, ["evaluate", *map(str, options)])
    return result.exit_code, result.output


def test_figures_are_shown_and_written(tmp_path: Path, model: str) -> None:
    card = tmp_path / "card.md"
    card.write_text("# A model\n", encoding="utf-8")
    code, output = evaluate(
        *("--data", corpus(tmp_path / "pills"), "--tag-set", "bc5cdr", "--model", model),
        *("--data", corpus(tmp_path / "more"), "--tag-set", "bc5cdr"),
        *("--json", tmp_path / "figures.json", "--html", tmp_path / "figures.html", "--card", card),
    )
    assert code == 0, output
    for shown in ("pills dev, tag set bc5cdr", "Chemical", "all (micro)", "95 % interval", "3 sentences, 0 failed"):
        assert shown in output

    written = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert written["engine"]["base"].startswith("sha256 ")
    assert [c["corpus"] for c in written["corpora"]] == ["pills dev", "more dev"]
    first, second = written["corpora"]
    assert first["scores"] == second["scores"]
    everything = first["scores"]["all"]
    assert everything["tp"] + everything["fn"] == 2
    assert everything["intervals"]["f1"]["low"] <= everything["f1"] <= everything["intervals"]["f1"]["high"]
    kinds = first["scores"]["mistakes"]
    assert sum(n for of_type in kinds.values() for kind, n in of_type.items() if kind != "spurious") == everything["fn"]
    assert first["sentences"] == 3
    assert first["fed_tokens"] > first["source_tokens"] > 0

    page = lxml.html.document_fromstring((tmp_path / "figures.html").read_text(encoding="utf-8"))
    assert page.xpath("//article/h2/text()") == ["pills dev", "more dev"]
    assert card.read_text(encoding="utf-8").startswith("# A model\n")
    assert "| pills dev | 3 | 2 | " in card.read_text(encoding="utf-8")


def test_a_limit_draws_the_same_sentences_each_time(tmp_path: Path, model: str) -> None:
    data = corpus(tmp_path / "pills", SENTENCES * 10)
    drawn = []
    for name in ("a.json", "b.json"):
        options = ("--tag-set", "bc5cdr", "--model", model, "--limit", "7", "--json", tmp_path / name)
        assert evaluate("--data", data, *options)[0] == 0
        drawn.append(json.loads((tmp_path / name).read_text(encoding="utf-8"))["corpora"][0])
    assert drawn[0]["scores"] == drawn[1]["scores"]
    assert (drawn[0]["sentences"], drawn[0]["corpus"]) == (7, "pills dev, drawn from 30")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tag-set", "nonesuch"], "no tag set 'nonesuch'"),
        (["--tag-set", "bc5cdr", "--model", "no/such/model"], "cannot be loaded"),
        (["--tag-set", "genia"], "unknown type 'Chemical'"),
        (["--tag-set", "bc5cdr", "--tag-set", "genia"], "1 files of annotated sentences and 2 tag sets"),
        (["--tag-set", "bc5cdr", "--json", "none/figures.json"], "none/figures.json: no such folder"),
        (["--tag-set", "bc5cdr", "--html", "pills"], "pills: cannot be written"),
        (["--tag-set", "bc5cdr", "--card", "none.md"], "none.md: cannot be read as a model card"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    code, output = evaluate("--data", corpus(tmp_path / "pills"), *options)
    assert code in (1, 2)
    assert message in output
    assert "Traceback" not in output


def test_a_sentence_without_an_answer_counts_as_missed() -> None:
    gold = (Mention(0, 7, "Chemical"),)
    sentences = [AnnotatedSentence("aspirin", gold), AnnotatedSentence("lithium", gold)]
    results = [TaggingResult(gold, 2, 5), TaggingResult(error=TaggingError("no answer"))]
    evaluation = Evaluation("pills", load_tag_set("bc5cdr"), sentences, results, seconds=2.0)
    assert (evaluation.failed, evaluation.scores.micro.recall) == (1, 0.5)
    assert (evaluation.source_tokens_per_second, evaluation.fed_tokens) == (1.0, 5)
