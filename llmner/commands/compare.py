"""``llmner compare``: where two data sets of the same documents differ."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmner import storage
from llmner.dataset.snapshot import open_dataset
from llmner.evaluation.mistakes import KINDS
from llmner.report.comparison import NAMES, Difference, compare, comparison_page
from llmner.report.terminal import visible


def run_compare(
    first: str,
    second: str,
    console: Console,
    *,
    commits: tuple[int | None, int | None],
    html: str | None,
    memory: str,
) -> None:
    """Compare two data sets on the terminal, and write the page where that is asked for.

    Args:
        first: The one.
        second: The other one; the same for two commits of it.
        console: Where tables go.
        commits: See ``open_dataset``, for each.
        html: File to write; None for none.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: There is no such data set or commit.
    """
    with console.status("comparing"):
        snapshots = (open_dataset(uri, commit=commit) for uri, commit in zip((first, second), commits, strict=True))
        comparison = compare(*snapshots, memory=memory)
    for line in comparison.made_with:
        console.print(Text(visible(line)), soft_wrap=True)
    documents = comparison.documents
    console.print(
        f"{documents['same']:,} documents with the same text in both, {documents['changed']:,} with another text, "
        f"{documents['first']:,} only in the first, {documents['second']:,} only in the second",
        soft_wrap=True,
        highlight=False,
    )
    table = Table("tag set", "type", "first", "second", "in both", "agreement")
    for column in table.columns[2:]:
        column.justify = "right"
    for t in (*comparison.types, comparison.all):
        figures = (f"{t.first:,}", f"{t.second:,}", f"{t.both:,}", f"{t.agreement:.3f}")
        table.add_row(Text(t.tag_set), Text(t.type), *figures)
    console.print(table)
    for kind in KINDS:
        if n := comparison.kinds[kind]:
            console.print(
                Text(visible(f"{n:,} {NAMES[kind]}, {_example(comparison.examples[kind][0])}")), soft_wrap=True
            )
    if html is not None:
        storage.write_whole(html, comparison_page(comparison).encode())
        console.print(f"Page       {html}", soft_wrap=True, markup=False, highlight=False)


def _example(difference: Difference) -> str:
    """Say in words what differs."""
    text, mistake = difference.text, difference.mistake
    sides = [f"{text[m[0] : m[1]]} ({m[2]})" for m in (mistake.gold, mistake.predicted) if m is not None]
    return f"for example {' and '.join(sides)} in {difference.document}"
