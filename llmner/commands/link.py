"""``llmner link``: identifiers for the mentions of a data set."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from llmner.commands.outcome import errors_shown
from llmner.commands.progress import steps_shown

_MOST = 10


def link(
    dataset: Annotated[str, typer.Argument(help="Data set; a path or URL.")],
    lexicon: Annotated[list[str], typer.Option(help="Lexicon; repeatable, the first is asked first.")],
    memory: Annotated[str, typer.Option(help="Most memory that the joins may take.")] = "4GB",
) -> None:
    """Link the mentions that are not linked yet with these lexicons; put your own synonyms first."""
    from llmner.linking.link import link as link_dataset

    console = Console()
    with errors_shown(), steps_shown(console, "files") as progress:
        linked = link_dataset(dataset, lexicon, memory=memory, progress=progress)
    if not linked.files:
        console.print("All mentions are linked with these lexicons already.")
        return
    table = Table("step", "source", "mentions")
    table.columns[2].justify = "right"
    for (step, source), count in sorted(linked.steps.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(step, source, f"{count:,}")
    console.print(table)
    table = Table("concept", "name", "mentions", title="Most mentioned")
    table.columns[2].justify = "right"
    for (id, name), count in linked.concepts.most_common(_MOST):
        table.add_row(id, name, f"{count:,}")
    console.print(table)
    share = f" ({linked.linked / linked.mentions:.0%})" if linked.mentions else ""
    console.print(
        f"{linked.linked:,} of {linked.mentions:,} mentions linked{share}, {linked.ambiguous:,} of them ambiguous"
    )
