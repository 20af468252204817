"""``llmner evaluate`` from annotated sentences to figures, with a real engine."""

import json
from pathlib import Path
from typing import ClassVar

import lxml.html
import pytest
import tiny_models
from typer.testing import CliRunner

from llmner.annotations import AnnotatedSentence
from llmner.cli import app
from llmner.errors import TaggingError
from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.evaluate import evaluate as measured
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


def test_a_corpus_with_some_of_the_types_under_other_names(tmp_path: Path, model: str) -> None:
    """Its types are mapped, others do not count: neither its own nor what is found of types it does not have."""
    entities = [{"start": 0, "end": 7, "type": "Drug"}, {"start": 15, "end": 19, "type": "Illness"}]
    data = corpus(tmp_path / "pills", [{"text": "aspirin caused gout", "entities": entities}])
    options = ("--data", data, "--tag-set", "biomed", "--model", model, "--json", tmp_path / "figures.json")
    code, output = evaluate(*options, "--types", "Drug=Chemical")
    assert code == 0, output
    (figures,) = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["corpora"]
    assert figures["scores"]["all"]["tp"] + figures["scores"]["all"]["fn"] == 1
    assert list(figures["scores"]["by"]["type"]) == ["Chemical"]
    assert evaluate(*options, "--types", "Drug=Pill")[0] == 2
    assert evaluate(*options)[0] == 1  # its types are not the tag set's
    assert evaluate(*options, "--types", "Drug=Chemical", "--types", "")[0] == 2


def test_what_is_found_of_other_types_does_not_count() -> None:
    class Finds:
        fingerprint: ClassVar[dict[str, str]] = {}

        def tag(self, requests):
            asked = {tuple(t.name for t in r.tag_set.types) for r in requests}
            assert asked == {tuple(t.name for t in load_tag_set("biomed").types)}
            return [TaggingResult((Mention(0, 7, "Chemical"), Mention(15, 19, "Disease")), 1, 1) for _ in requests]

    sentence = AnnotatedSentence("aspirin caused gout", (Mention(0, 7, "Chemical"),))
    whole = measured(Finds(), [sentence], load_tag_set("biomed"))
    part = measured(Finds(), [sentence], load_tag_set("biomed"), types={"Chemical"})
    assert (whole.scores.micro.precision, part.scores.micro.precision) == (0.5, 1.0)
