"""``llmner convert``: an annotated corpus to JSON lines, and a table of what became of it."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from llmner.commands.outcome import EXIT_INCOMPLETE
from llmner.conversion import Account, convert
from llmner.errors import ConfigError


def run_convert(inputs: Sequence[str], format: str, output: Path | None, types: str | None, console: Console) -> int:
    """Convert a corpus and show what became of it.

    Args:
        inputs: Files, folders and patterns.
        format: Name of their format.
        output: File to write to; standard output where there is none.
        types: Types to keep, comma between; ``A=B`` calls A B. None keeps all.
        console: Where the table goes.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The corpus cannot be converted as asked.
    """
    names = None if types is None else parsed_types(types)
    with output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream:
        account = convert(inputs, format, stream, types=names)
    console.print(_table(account))
    return EXIT_INCOMPLETE if account.broken or account.wrong else 0


def parsed_types(types: str) -> dict[str, str]:
    """Return our name of each type of a corpus, from ``A=B,C``.

    Raises:
        ConfigError: A part names no type.
    """
    return dict(_renamed(name) for name in types.split(","))


def _renamed(name: str) -> tuple[str, str]:
    """Return a type's name in the corpus and ours, from ``A=B`` or ``A``."""
    theirs, _, ours = (part.strip() for part in name.partition("="))
    if not theirs:
        raise ConfigError(f"types: {name!r} names no type", hint="for example Chemical,DiseaseClass=Disease")
    return theirs, ours or theirs


def _table(account: Account) -> Table:
    result = Table(title=f"{account.documents:,} documents, {account.sentences:,} sentences", show_header=False)
    result.add_column()
    result.add_column(justify="right")
    for type, count in account.mentions.most_common():
        result.add_row(type, f"{count:,}")
    result.add_section()
    for type, count in account.other_types.most_common():
        result.add_row(f"left out: {type}, not asked for", f"{count:,}")
    result.add_row("left out: of several spans", f"{account.discontinuous:,}")
    result.add_row("left out: wrong", f"{account.wrong:,}")
    result.add_row("files and documents that cannot be read", f"{account.broken:,}")
    return result
