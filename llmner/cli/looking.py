"""Commands that show inputs, results and what there is to choose from."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from llmner.cli.options import CommitOption, Dataset, Memory
from llmner.commands.outcome import errors_shown

app = typer.Typer()


@app.command()
def sources() -> None:
    """List the formats that can be read, how each is recognised and what of it is kept."""
    from llmner.commands.sources import show_formats

    show_formats(Console())


@app.command()
def show(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or patterns; paths or URLs.")],
    format: Annotated[str, typer.Option(help="Name of a format; auto looks at each file.")] = "auto",
    field: Annotated[list[str] | None, typer.Option(help="Our field and theirs, text=body; repeatable.")] = None,
    limit: Annotated[int, typer.Option(help="Only so many documents.", min=1)] = 10,
) -> None:
    """Show documents as an extraction will see them: parts, languages and sentences."""
    from llmner.commands.show import show_documents

    with errors_shown():
        code = show_documents(inputs, format, field or (), limit, Console())
    raise typer.Exit(code)


@app.command()
def inspect(
    dataset: Dataset,
    doc: Annotated[str | None, typer.Option(help="Identifier of a document: its own, a PMID, a DOI.")] = None,
    type: Annotated[str | None, typer.Option(help="Only documents with a mention of this type.")] = None,
    query: Annotated[str | None, typer.Option(help="Only those that mention this text or this concept.")] = None,
    sample: Annotated[int, typer.Option(help="The most documents to show.", min=1)] = 10,
    dropped: Annotated[bool, typer.Option("--dropped", help="Also what was not kept, and why.")] = False,
    commit: CommitOption = None,
    html: Annotated[str | None, typer.Option(help="File to write the page to; a path or URL.")] = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Look at documents with their mentions highlighted, on the terminal and as a page."""
    from llmner.commands.inspect import run_inspect

    with errors_shown():
        run_inspect(
            dataset,
            Console(),
            commit=commit,
            identifier=doc,
            type=type,
            query=query,
            sample=sample,
            dropped=dropped,
            html=html,
            open_page=open,
        )


@app.command()
def report(
    dataset: Dataset,
    output: Annotated[str | None, typer.Option(help="File to write; by default report.html in the data set.")] = None,
    commit: CommitOption = None,
    batch: Annotated[str | None, typer.Option(help="Only what this batch brought.")] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Annotated sentences of its documents, JSON lines: are scores probabilities?")
    ] = None,
    price: Annotated[float | None, typer.Option(help="What an hour of the machines costs.", min=0)] = None,
    memory: Memory = "4GB",
) -> None:
    """Write a page about a data set: documents, failures, mentions, concepts, scores, rates, drift, graph."""
    from llmner.commands.report import run_report

    with errors_shown():
        run_report(
            dataset,
            Console(),
            output=output,
            commit=commit,
            batch=batch,
            gold=gold,
            price=price,
            memory=memory,
        )


@app.command()
def compare(
    first: Dataset,
    second: Annotated[str, typer.Argument(help="The other data set, or the same for two commits of it.")],
    first_commit: Annotated[int | None, typer.Option(help="Commit of the first; by default the newest.")] = None,
    second_commit: Annotated[int | None, typer.Option(help="Commit of the second; by default the newest.")] = None,
    html: Annotated[str | None, typer.Option(help="File to write the page to; a path or URL.")] = None,
    memory: Memory = "4GB",
) -> None:
    """Show where two data sets of the same documents differ: models, thresholds or versions side by side."""
    from llmner.commands.compare import run_compare

    with errors_shown():
        run_compare(first, second, Console(), commits=(first_commit, second_commit), html=html, memory=memory)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the card of this model; by default list all.")] = None,
) -> None:
    """List the models that have a name, or show the card of one."""
    from llmner.commands.models import show_card, show_models

    with errors_shown():
        if name:
            show_card(name, Console())
        else:
            show_models(Console())


@app.command()
def configuration() -> None:
    """Write every key of job, training and model files with its default and meaning, as Markdown."""
    from llmner.commands.configuration import configuration_page

    sys.stdout.write(configuration_page())
