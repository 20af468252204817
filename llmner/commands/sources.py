"""``llmner sources``: the formats that can be read."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmner.sources.format import Format, by_name_only
from llmner.sources.registry import FORMATS


def show_formats(console: Console) -> None:
    """Show what formats there are, how each is recognised, and what of it is kept."""
    table = Table(show_lines=True)
    for heading in ("format", "recognised by", "kept", "left out", "begins"):
        table.add_column(heading, overflow="fold")
    for format in FORMATS:
        name = Text.assemble((format.name, "bold"), "\n", format.title)
        table.add_row(name, _signs(format), format.keeps, format.drops, Text(format.example))
    console.print(table)


def _signs(format: Format) -> str:
    names = ", ".join(format.suffixes)
    signs = names if format.recognises is by_name_only else f"its content; names: {names}"
    uses = [use for use, fits in (("extract", format.documents), ("convert", format.corpus)) if fits]
    return f"{signs}\nfor {' and '.join(uses)}"
