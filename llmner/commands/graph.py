"""``llmner graph``: an exported graph in an embedded database."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from llmner.commands.outcome import errors_shown

app = typer.Typer(no_args_is_help=True, help="Look at an exported graph in an embedded database.")


@app.command()
def load(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Export for Neo4j, of all or of a difference.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Database: new, or the one that a difference is for.")],
    engine: Annotated[Literal["ladybug"], typer.Option(help="What makes the database.")] = "ladybug",
) -> None:
    """Make a database of an export, or bring one up to date."""
    from llmner.graph import ladybug

    with errors_shown():
        commit = ladybug.load(out, file)
    Console().print(f"Database   {file} (commit {commit}, {engine})", soft_wrap=True, markup=False, highlight=False)


@app.command()
def query(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Database.")],
    cypher: Annotated[str, typer.Argument(metavar="CYPHER", help="For example MATCH (c:Concept) RETURN c.name")],
) -> None:
    """Ask a database in Cypher."""
    from llmner.graph import ladybug

    with errors_shown():
        columns, rows = ladybug.query(file, cypher)
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
