"""How a command ends: an error of ours as one message with its hint, and the exit code.

Exit codes: 0 all well, 1 the job failed, 2 wrong usage or configuration, 3 the job is done but an input file was broken
or documents were rejected or failed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from llmner.errors import ConfigError, LlmnerError
from llmner.report.terminal import visible

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error of ours and end with its exit code."""
    try:
        yield
    except LlmnerError as e:
        Console(stderr=True).print(visible(f"error: {e}"), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_USAGE if isinstance(e, ConfigError) else EXIT_FAILED) from e
