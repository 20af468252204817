"""With which exit code each kind of error ends a command."""

import pytest
import typer

from llmner.commands.outcome import EXIT_FAILED, EXIT_STOPPED, EXIT_USAGE, errors_shown
from llmner.errors import ConfigError, LlmnerError, ModelError, StoppedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no such key"), EXIT_USAGE),
        (ModelError("no such model"), EXIT_FAILED),
        (StoppedError("stopped after step 8 of 16", hint="run the same command again"), EXIT_STOPPED),
    ],
)
def test_exit_codes(error: LlmnerError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, errors_shown():
        raise error
    assert ended.value.exit_code == code
    assert error.message in capsys.readouterr().err
