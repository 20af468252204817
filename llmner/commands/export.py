"""``llmner export``: the graph of a data set in the forms that others load, and a check of the files."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from llmner.commands.outcome import EXIT_FAILED, errors_shown
from llmner.commands.progress import steps_shown

app = typer.Typer(no_args_is_help=True, help="Write a data set's knowledge graph, and check what was written.")

Uri = Annotated[str, typer.Argument(metavar="URI", help="Data set; a path or URL.")]
Out = Annotated[str, typer.Argument(metavar="OUT", help="Folder to write: new, empty, or an export, replaced.")]
Since = Annotated[int | None, typer.Option(help="Only what has changed since this commit.", min=0)]
MinDocuments = Annotated[int, typer.Option(help="Documents that must mention both ends of a co-occurrence.", min=1)]
MinLogLikelihood = Annotated[float, typer.Option(help="Log-likelihood ratio that a co-occurrence must have.")]
Memory = Annotated[str, typer.Option(help="Most memory that the joins may take.")]


@app.command()
def kgx(
    uri: Uri,
    out: Out,
    since: Since = None,
    min_documents: MinDocuments = 2,
    min_log_likelihood: MinLogLikelihood = 3.84,
    memory: Memory = "4GB",
) -> None:
    """Nodes and edges in terms of the Biolink model, as JSON lines and TSV."""
    _export("kgx", uri, out, memory, since, (min_documents, min_log_likelihood))


@app.command()
def neo4j(
    uri: Uri,
    out: Out,
    since: Since = None,
    min_documents: MinDocuments = 2,
    min_log_likelihood: MinLogLikelihood = 3.84,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Parquet instead of CSV: for Neo4j 5.26.26 or later of 5, or 2026.03.")
    ] = False,
    memory: Memory = "4GB",
) -> None:
    """Files with typed headers and the script that imports them; for a difference one that loads it."""
    _export("neo4j", uri, out, memory, since, (min_documents, min_log_likelihood), parquet=parquet)


@app.command()
def rdf(
    uri: Uri,
    out: Out,
    since: Since = None,
    min_documents: MinDocuments = 2,
    min_log_likelihood: MinLogLikelihood = 3.84,
    memory: Memory = "4GB",
) -> None:
    """N-Quads, with the offsets of each mention."""
    _export("rdf", uri, out, memory, since, (min_documents, min_log_likelihood))


@app.command()
def pubtator(uri: Uri, out: Out, since: Since = None, memory: Memory = "4GB") -> None:
    """Texts with mentions and identifiers in PubTator's format."""
    _export("pubtator", uri, out, memory, since)


@app.command()
def bioc(uri: Uri, out: Out, since: Since = None, memory: Memory = "4GB") -> None:
    """Texts with mentions and identifiers in BioC XML."""
    _export("bioc", uri, out, memory, since)


@app.command()
def biocypher(
    uri: Uri,
    out: Out,
    min_documents: MinDocuments = 2,
    min_log_likelihood: MinLogLikelihood = 3.84,
    memory: Memory = "4GB",
) -> None:
    """Nodes and edges in Parquet, with an adapter and a schema for BioCypher."""
    _export("biocypher", uri, out, memory, None, (min_documents, min_log_likelihood))


@app.command()
def check(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder of an export.")],
    prefix: Annotated[
        list[str] | None, typer.Option(help="Prefix of a vocabulary of your own that is known, too; repeatable.")
    ] = None,
    memory: Memory = "4GB",
) -> None:
    """Check the files of an export as whoever loads them will read them; names file, line and reason."""
    from llmner.graph.check import MOST
    from llmner.graph.check import check as check_export

    console = Console()
    with errors_shown():
        problems = check_export(out, prefixes=prefix or (), memory=memory)
    for problem in problems:
        text = f"{problem.file}, line {problem.line}: {problem.reason}"
        console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    if problems:
        console.print(f"{len(problems)} problems{', and maybe more' if len(problems) == MOST else ''}")
        raise typer.Exit(EXIT_FAILED)
    console.print(f"{out}: no problem found", markup=False, highlight=False, soft_wrap=True)


def _export(
    format: str,
    uri: str,
    out: str,
    memory: str,
    since: int | None,
    cutoffs: tuple[int, float] = (2, 3.84),
    *,
    parquet: bool = False,
) -> None:
    from llmner.graph.build import Cutoffs
    from llmner.graph.export import export

    console = Console()
    with errors_shown(), steps_shown(console, "steps") as progress:
        exported = export(
            format,
            uri,
            out,
            since=since,
            cutoffs=Cutoffs(*cutoffs),
            parquet=parquet,
            memory=memory,
            progress=progress,
        )
    table = Table("", "rows", *(["deleted"] if since is not None else []))
    for column in table.columns[1:]:
        column.justify = "right"
    for name, count in exported.written.items():
        table.add_row(name, f"{count:,}", *([f"{exported.deleted[name]:,}"] if since is not None else []))
    console.print(table)
    if exported.strongest:
        strongest = Table("", "", "documents", "sentences", "PMI", "log-likelihood", title="Strongest co-occurrences")
        for column in strongest.columns[2:]:
            column.justify = "right"
        for p in exported.strongest:
            figures = (f"{p.documents:,}", f"{p.sentences:,}", f"{p.pmi:.2f}", f"{p.log_likelihood:,.4g}")
            strongest.add_row(p.subject, p.object, *figures)
        console.print(strongest)
    console.print(f"Graph      {out} (commit {exported.commit})", soft_wrap=True, markup=False, highlight=False)
