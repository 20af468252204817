"""``llmner report``: a page about a snapshot of a data set."""

from pathlib import Path

from markupsafe import Markup
from rich.console import Console

from llmner import storage
from llmner.annotations import read_annotations
from llmner.dataset.layout import Layout
from llmner.dataset.snapshot import open_dataset
from llmner.graph.strongest import strongest
from llmner.report.documents import complete_links
from llmner.report.graph import graph_picture
from llmner.report.selector import judge
from llmner.report.snapshot import snapshot_page


def run_report(
    uri: str,
    console: Console,
    *,
    output: str | None,
    commit: int | None,
    batch: str | None,
    gold: Path | None,
    price: float | None,
    memory: str,
) -> None:
    """Write the page and say where it lies.

    Args:
        uri: The data set.
        console: Where it is said.
        output: File to write; by default ``report.html`` in the data set.
        commit: See ``open_dataset``.
        batch: Only what this batch brought; None for the whole snapshot.
        gold: Annotated sentences of documents of the data set; None for none.
        price: What an hour of the machines costs; None where nobody says.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: There is no data set, no such commit or batch.
        InputError: The annotated sentences cannot be read.
    """
    snapshot = open_dataset(uri, commit=commit)
    with console.status("counting"):
        page = snapshot_page(
            snapshot,
            batch=batch,
            price=price,
            judged=None if gold is None else judge(snapshot, read_annotations(gold)),
            picture=_picture(uri, snapshot.commit, memory) if batch is None and complete_links(snapshot) else None,
            memory=memory,
        )
    output = output or Layout.at(uri).report
    storage.write_whole(output, page.encode())
    console.print(f"Report     {output}", soft_wrap=True, markup=False, highlight=False)


def _picture(uri: str, commit: int, memory: str) -> Markup | None:
    return graph_picture(*strongest(uri, commit=commit, memory=memory))
