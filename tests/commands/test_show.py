"""``llmner show`` and ``llmner sources``: what will be read, before anything is."""

from pathlib import Path

from typer.testing import CliRunner

from llmner.cli import app
from llmner.sources.registry import FORMATS


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout


def test_documents_are_shown_by_part_and_sentence(tmp_path: Path) -> None:
    fields = {"Reference Type": "Journal Article", "Title": "痛风的治疗", "Abstract": "秋水仙碱有效。疼痛减轻。"}
    export = "".join(f"{{{tag}}}: {value}\n" for tag, value in (fields | {"Translated Title": "Gout"}).items())
    (tmp_path / "a.net").write_text(export)
    (tmp_path / "b.jsonl").write_text('{"id": "7", "body": "One. Two."}\n{"id": "8", "body": "Three."}\n')
    code, shown = call("show", tmp_path, "--limit", "2", "--field", "text=body")
    assert code == 0
    assert "[title zh]\n  痛风的治疗\n[abstract zh]\n  秋水仙碱有效。\n  疼痛减轻。\n[title en]\n  Gout\n" in shown
    assert "[text en]\n  One.\n  Two.\n" in shown
    assert "Three" not in shown


def test_what_will_be_rejected_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1"}\n{"id": "2", "text": "Two."}\n')
    code, shown = call("show", tmp_path)
    assert code == 3
    assert "field 'text' is missing" in shown
    assert "Two." in shown
    assert call("show", tmp_path / "none")[0] == 1


def test_the_formats_are_listed() -> None:
    code, shown = call("sources")
    assert code == 0
    assert all(f.name in shown for f in FORMATS)
