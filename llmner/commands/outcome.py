"""How a command ends: an error of ours as one message with its hint, and the exit code.

Exit codes: 0 all well, 1 the job failed, 2 wrong usage or configuration, 3 the job is done but an input file was broken
or documents were rejected, failed or have one identifier, 4 the job was told to stop and goes on with the same command.
"""

import json
import logging
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from llmner.errors import ConfigError, LlmnerError, StoppedError
from llmner.report.terminal import visible

logger = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_STOPPED = 4

_REPORT_SECONDS = 60  # that the command for failures may take


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error of ours and end with its exit code."""
    try:
        yield
    except LlmnerError as e:
        Console(stderr=True).print(visible(f"error: {e}"), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_exit_code(e)) from e


def _exit_code(error: LlmnerError) -> int:
    if isinstance(error, StoppedError):
        return EXIT_STOPPED
    return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED


@contextmanager
def stops_on_signal() -> Iterator[None]:
    """End with an exit code of its own on SIGTERM or Ctrl-C; what is not written yet is given back.

    Enter it after Ray is imported, which takes SIGTERM for itself.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as e:
        Console(stderr=True).print("stopped; the same command goes on where it was", highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_STOPPED) from e
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def failure_reported(command: str | None) -> Iterator[None]:
    """Give a command what went wrong, as JSON on its standard input; a run that was told to stop is no failure.

    Args:
        command: The command with its arguments; None for none.
    """
    try:
        yield
    except typer.Exit as e:
        if command and e.exit_code not in (0, EXIT_STOPPED):
            message = str(e.__cause__ or "an input file was broken or left, or documents failed")
            _report(command, {"exit_code": e.exit_code, "message": message})
        raise
    except Exception as e:
        if command:
            _report(command, {"exit_code": EXIT_FAILED, "message": f"{type(e).__name__}: {e}"})
        raise


def _report(command: str, failure: dict[str, object]) -> None:
    try:
        content = json.dumps(failure, ensure_ascii=False)
        subprocess.run(shlex.split(command), input=content, text=True, timeout=_REPORT_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        logger.exception("the failure could not be reported by %s", command)
