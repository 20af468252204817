"""``llmner models``: what has a name, and its card."""

from pathlib import Path

from typer.testing import CliRunner

from llmner.cli import app


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", *arguments])
    return result.exit_code, result.output


def test_named_models_are_listed() -> None:
    code, output = call()
    assert code == 0
    assert "embedded_second_reading" in output
    assert "bc5cdr, genia, ncbi_disease, cmeee_v2" in output


def test_a_card_is_shown_by_name_or_file(tmp_path: Path) -> None:
    code, output = call("embedded")
    assert (code, "Gemma 3 270M" in output) == (0, True)
    (tmp_path / "mine.yaml").write_text("base: org/name\ncard: card.md\n")
    (tmp_path / "card.md").write_text("# A card of mine\n")
    assert "A card of mine" in call(str(tmp_path / "mine.yaml"))[1]
    (tmp_path / "mine.yaml").write_text("base: org/name\n")
    code, output = call(str(tmp_path / "mine.yaml"))
    assert (code, "has no card (name its Markdown file as `card`)" in output) == (2, True)
    code, output = call("nothing")
    assert (code, "no model is named 'nothing'" in output) == (2, True)
