"""``llmner inspect``: documents of a data set with their mentions highlighted, on the terminal and as a page."""

import tempfile
import webbrowser
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmner import storage
from llmner.dataset.snapshot import open_dataset
from llmner.documents import Row
from llmner.errors import InputNotFoundError
from llmner.report.documents import find_documents
from llmner.report.highlight import highlight_page
from llmner.report.terminal import bracketed, visible


def run_inspect(
    uri: str,
    console: Console,
    *,
    commit: int | None,
    identifier: str | None,
    type: str | None,
    query: str | None,
    sample: int,
    dropped: bool,
    html: str | None,
    open_page: bool,
) -> None:
    """Show documents, and write or open the page of them where that is asked for.

    Args:
        uri: The data set.
        console: Where they are shown.
        commit: See ``open_dataset``.
        identifier: See ``find_documents``, as the next ones.
        type: A type of mention.
        query: A text or a concept.
        sample: The most documents.
        dropped: Whether candidates that were not kept are shown.
        html: File to write the page to; None for none.
        open_page: Whether the page is shown in the browser; without ``html`` it lies among temporary files.

    Raises:
        DatasetError: There is no data set, or no such commit.
        InputNotFoundError: No document is as asked.
    """
    snapshot = open_dataset(uri, commit=commit)
    rows = find_documents(snapshot, identifier=identifier, type=type, query=query, most=sample, dropped=dropped)
    if not rows:
        asked = ", ".join(f"{name} {value}" for name, value in _asked(identifier, type, query).items())
        hint = "look at all of it with `llmner report`"
        raise InputNotFoundError(f"{snapshot.uri}: commit {snapshot.commit} has no document with {asked}", hint=hint)
    for row in rows:
        _say(row, console)
    if html is None and open_page:
        html = str(Path(tempfile.mkdtemp(prefix="llmner-")) / "inspect.html")
    if html is not None:
        title = ", ".join(_asked(identifier, type, query).values()) or "Mentions found"
        storage.write_whole(html, highlight_page(rows, title=title).encode())
        console.print(f"Page       {html}", soft_wrap=True, markup=False, highlight=False)
    if html is not None and open_page:
        webbrowser.open(storage.absolute_uri(html) if "://" in html else Path(html).absolute().as_uri())


def _asked(identifier: str | None, type: str | None, query: str | None) -> dict[str, str]:
    given = {"identifier": identifier, "type": type, "query": query}
    return {name: value for name, value in given.items() if value is not None} or {}


def _say(row: Row, console: Console) -> None:
    about = [row["source"], row["source_id"], str(row["year"] or ""), row["status"]]
    console.print(Text("  ".join(filter(None, about)), style="reverse"))
    text = visible(row["text"])  # as long as the text, so offsets hold
    console.print(bracketed(text, row["mentions"]), soft_wrap=True)
    if row["error_message"]:
        console.print(Text(visible(row["error_message"]), style="red"))
    if row["mentions"]:
        console.print(_table(row["mentions"]))
    console.print()


def _table(mentions: list[Row]) -> Table:
    table = Table("place", "text", "type", "score", "concept", box=None, padding=(0, 2, 0, 0))
    table.columns[0].justify = table.columns[3].justify = "right"
    for m in mentions:
        score = m["generator_score"] if m["selector_score"] is None else m["selector_score"]
        concept = Text()
        for c in m["concepts"]:
            concept.append(" or " if concept else "")
            concept.append(c["id"], style=f"link {c['address']}" if c["address"] else "")
            concept.append(f" {visible(c['name'])}", style="dim")
        style = "" if m["kept"] else "dim"
        cells = (f"{m['start']}-{m['end']}", visible(m["text"]), m["type"], f"{score:.2f}")
        table.add_row(*(Text(cell, style) for cell in cells), concept if m["kept"] else Text(m["reason"], "dim"))
    return table
