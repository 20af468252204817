"""``llmner convert``: files in, JSON lines that training reads out, an account of all that was left out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.cli import app
from llmner.mentions import Mention

GOUT = "1|t|Gout hurts.\n1|a|Rest helps. Colchicine, too.\n1\t0\t4\tGout\tDisease\n1\t24\t34\tColchicine\tChemical\n"


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_a_file_becomes_sentences_that_training_reads(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(GOUT)
    output = tmp_path / "a.jsonl"
    code, printed, account = call(tmp_path / "a.txt", "--format", "pubtator", "--output", output)
    assert (code, printed) == (0, "")
    assert "1 documents, 3 sentences" in account
    assert read_annotations(output, types=["Disease", "Chemical"]) == [
        AnnotatedSentence("Gout hurts.", (Mention(0, 4, "Disease"),), "1"),
        AnnotatedSentence("Rest helps.", (), "1"),
        AnnotatedSentence("Colchicine, too.", (Mention(0, 10, "Chemical"),), "1"),
    ]


def test_lines_go_to_standard_output_with_the_types_that_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(GOUT)
    code, printed, account = call(tmp_path / "a.txt", "--format", "pubtator", "--types", "Disease=illness")
    first, second, _ = [json.loads(line) for line in printed.splitlines()]
    assert code == 0
    assert first == {
        "id": "1:0",
        "doc_id": "1",
        "lang": "en",
        "text": "Gout hurts.",
        "entities": [{"start": 0, "end": 4, "type": "illness"}],
    }
    assert second["id"] == "1:1"
    assert "left out: Chemical, not asked for" in account


def test_brat_is_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.ann").write_text("T1\tdis 1 3\t痛风\n")
    (tmp_path / "x.txt").write_text("患痛风。")
    (tmp_path / "y.ann").write_text("")
    code, printed, errors = call(tmp_path, "--format", "brat")
    assert code == 3
    assert json.loads(printed)["lang"] == "zh"
    assert json.loads(printed)["entities"] == [{"start": 1, "end": 3, "type": "dis"}]
    assert "cannot be read │ 1" in errors


def test_what_cannot_be_read_costs_none_of_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    (tmp_path / "a.txt").write_text(f"{GOUT}\nrubbish\n")
    (tmp_path / "b.txt").write_text("2|t|Pain.\n2\t1\t5\tPain\tDisease\n")
    files = [tmp_path / name for name in ("none.txt", "latin.txt", "a.txt", "a.txt", "b.txt")]
    code, printed, errors = call(*files, "--format", "pubtator")
    assert code == 3
    assert [json.loads(line)["id"] for line in printed.splitlines()] == ["1:0", "1:1", "1:2", "2:0"]
    assert "left out: wrong │ 1" in errors
    assert "cannot be read │ 5" in errors
    told = " ".join(caplog.messages)
    for message in ("no such file", "not UTF-8", "begins no document", "was read from", "the text there is"):
        assert message in told


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--format", "docx"], 2, "no such format: docx (one of "),
        (["--format", "pubmed"], 2, "pubmed holds no annotations (one of"),
        (["--format", "brat", "--types", "A,=B"], 2, "'=B' names no type"),
        (["--format", "brat"], 1, "not an .ann file"),
        (["--format", "cmeee"], 1, "not JSON"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(GOUT)
    assert (call(file, *arguments)[0], said in call(file, *arguments)[2]) == (code, True)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    code, _, errors = call(tmp_path, "--format", "brat")
    assert code == 1
    assert "no file to read there (names end in .ann" in errors
