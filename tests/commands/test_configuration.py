"""docs/configuration.md says what the settings' classes say."""

from pathlib import Path

from typer.testing import CliRunner

from llmner.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_command_writes() -> None:
    written = CliRunner().invoke(app, ["configuration"]).stdout
    assert PAGE.read_text(encoding="utf-8") == written, "run: llmner configuration > docs/configuration.md"


def test_the_page_has_keys_defaults_and_meanings() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("| `inputs` | list: text | required | Files, folders or patterns") for line in lines)
    assert any(
        line.startswith('| `mode` | `auto`, `off`, `on`, `score-only` | `"auto"` | `on` keeps') for line in lines
    )
    assert sum(line.startswith("| `") for line in lines) > 60
