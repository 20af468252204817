"""What the commits of a data set took, cost and brought, as sections of its page.

Invariant: a rate is that of the run that finished a batch, over the documents that went through its model.
"""

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

from llmner.dataset.manifest import Manifest
from llmner.report.plots import curves_plot
from llmner.report.sections import Cell, Section

if TYPE_CHECKING:
    import duckdb

_LAST = 30  # commits in a table
_FEWEST = 20  # mentions of a type in two batches together that say something
_STANDARD_ERRORS = 3.0  # from which a change is told


def rates(manifests: Sequence[Manifest]) -> Section | None:
    """Return how fast the last commits were."""
    measured = [m for m in manifests if m.figures.get("seconds")]
    if not measured:
        return None
    speeds = [(m.commit, m.figures["source_tokens"] / m.figures["seconds"]) for m in measured]
    rows: list[Sequence[Cell]] = [
        (
            m.commit,
            m.finished[:16].replace("T", " "),
            m.batch,
            int(m.figures["documents"]),
            m.counts.get("failed", 0) + m.counts.get("rejected", 0),
            _duration(m.figures["seconds"]),
            f"{m.figures['documents'] / m.figures['seconds']:,.1f}",
            f"{m.figures['source_tokens'] / m.figures['seconds']:,.0f}",
        )
        for m in measured[-_LAST:]
    ]
    head = ("commit", "finished", "batch", "documents", "failed", "time", "documents/s", "source tokens/s")
    note = "Documents that went through the model, and their time: of a batch that was resumed, of its last run."
    plot = curves_plot({"source tokens/s": speeds}, x="commit", y="source tokens/s") if len(speeds) > 1 else ""
    return Section("Runs", note, head, rows, plot)


def cost(manifests: Sequence[Manifest], price: float) -> Section | None:
    """Return what the commits cost at a price an hour."""
    measured = [m for m in manifests if m.figures.get("seconds")]
    if not measured:
        return None
    rows: list[Sequence[Cell]] = []
    for m in measured[-_LAST:]:
        paid, tokens = m.figures["seconds"] / 3600 * price, m.figures["source_tokens"]
        rows.append((m.commit, f"{paid:,.2f}", f"{paid / tokens * 1e6:,.2f}" if tokens else ""))
    total = sum(m.figures["seconds"] for m in measured) / 3600 * price
    note = f"At {price:g} an hour while the model was at work; {total:,.2f} for all commits."
    return Section("Cost", note, ("commit", "cost", "a million source tokens"), rows)


def drift(connection: "duckdb.DuckDBPyConnection") -> Section | None:
    """Return what the last batch has more or less of than the batches before it; None where there is only one.

    Args:
        connection: A database with the snapshot's ``all_documents`` and ``all_mentions``.
    """
    connection.execute("""
        CREATE TEMP TABLE tagged AS
        SELECT doc_key, file, commit = max(commit) OVER () AS last FROM all_documents WHERE status IN ('ok', 'empty')
    """)
    documents = dict(connection.execute("SELECT last, count(*) FROM tagged GROUP BY last").fetchall())
    if len(documents) < 2:
        return None
    found = connection.execute("""
        SELECT tag_set, type, count(*) FILTER (NOT last), count(*) FILTER (last),
            avg(coalesce(selector_score, generator_score)) FILTER (NOT last),
            avg(coalesce(selector_score, generator_score)) FILTER (last)
        FROM all_mentions JOIN tagged USING (doc_key, file)
        GROUP BY tag_set, type ORDER BY count(*) DESC, tag_set, type LIMIT 60
    """).fetchall()
    rows: list[Sequence[Cell]] = []
    for tag_set, type, before, after, score_before, score_after in found:
        old, new = before / documents[False], after / documents[True]
        # Mentions come in clusters, so that the error of a Poisson count is a lower bound.
        error = sqrt(before) / documents[False] + sqrt(after) / documents[True]
        told = before + after >= _FEWEST and abs(new - old) > _STANDARD_ERRORS * error
        change = f"{new / old - 1:+.0%}" if old else "new"
        scores = (f"{score:.2f}" if score is not None else "" for score in (score_before, score_after))
        rows.append((tag_set, type, f"{old:.2f}", f"{new:.2f}", f"{change}{' !' if told else ''}", *scores))
    return Section(
        title="The last batch beside those before",
        note=f"Mentions a document, in {documents[False]:,} documents before and {documents[True]:,} of the last "
        f"batch. An exclamation mark: more than {_STANDARD_ERRORS:g} standard errors apart.",
        head=("tag set", "type", "before", "last", "change", "score before", "score last"),
        rows=rows,
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
