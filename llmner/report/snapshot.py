"""One HTML page that says what a snapshot of a data set holds, how it came there, and what has changed.

To add a section, write a function from a ``Look`` to it and list it in ``SECTIONS``. All counting is done by DuckDB.

Invariant: the page is the same size however large the data set is, and depends on the snapshot alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from llmner.concepts import address
from llmner.dataset.manifest import Manifest
from llmner.dataset.reading import open_committed
from llmner.dataset.schema import STATUSES
from llmner.dataset.snapshot import MEMORY, Snapshot
from llmner.report.documents import complete_links
from llmner.report.plots import columns_plot, shares_plot
from llmner.report.runs import cost, drift, rates
from llmner.report.sections import Cell, Section
from llmner.report.selector import Judged, judged_section
from llmner.report.templates import TEMPLATES

if TYPE_CHECKING:
    import duckdb

_MOST = 20  # rows of a table of frequent things
_TYPES = 60  # rows of the table of types
_EXAMPLES = 3  # of each class of error


@dataclass(frozen=True)
class Look:
    """What the sections are made from.

    Attributes:
        connection: A database with the snapshot's relations, those of all its commits included.
        manifests: Its commits.
        price: What an hour of the machines costs, in any currency; None where nobody says.
        judged: Candidates that gold annotations judge; None without.
        picture: The strongest part of the graph; None without.
    """

    connection: "duckdb.DuckDBPyConnection"
    manifests: Sequence[Manifest]
    price: float | None = None
    judged: Judged | None = None
    picture: Markup | None = None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        return self.connection.execute(sql).fetchall()


def snapshot_page(
    snapshot: Snapshot,
    *,
    batch: str | None = None,
    price: float | None = None,
    judged: Judged | None = None,
    picture: Markup | None = None,
    memory: str = MEMORY,
) -> str:
    """Make the page.

    Args:
        snapshot: What it is about.
        batch: Only what this batch brought of it; None for all.
        price: What an hour of the machines costs.
        judged: Candidates that gold annotations judge, for the selector's section.
        picture: The strongest part of the graph.
        memory: Most that DuckDB may hold.

    Returns:
        A complete HTML document.

    Raises:
        DatasetError: A part of the data set is damaged, or there is no such batch.
    """
    snapshot = snapshot if batch is None else snapshot.of_batch(batch)
    dataset = open_committed(snapshot.uri)
    manifests = [m for m in dataset.manifests[: snapshot.commit] if batch in (None, m.batch)]
    with snapshot.database(memory, links=complete_links(snapshot)) as connection:
        look = Look(connection, manifests, price, judged, picture)
        sections = [section for make in SECTIONS if (section := make(look)) is not None]
        [(documents, mentions)] = look.ask("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM mentions)")
    finished = f" · {manifests[-1].finished[:16].replace('T', ' ')}" if manifests else ""
    about = [f"{snapshot.uri} · commit {snapshot.commit}{finished}"]
    if batch is not None and dataset.is_compacted(manifests[0]):
        about.append(f"Batch {batch} was compacted: what later batches replaced of it is not counted any more.")
    return TEMPLATES.get_template("figures.html").render(
        title=dataset.layout.name,
        about=about,
        figures={"documents": documents, "mentions": mentions, "commits": len(manifests)},
        sections=sections,
        made_with=dataset.description.parts,
    )


def documents(look: Look) -> Section:
    """Show how many documents came from where, and what came of them."""
    rows = look.ask("""
        SELECT source, status, count(*), count(DISTINCT source_file) FROM all_documents GROUP BY ALL ORDER BY ALL
    """)
    files = dict(look.ask("SELECT source, count(DISTINCT source_file) FROM all_documents GROUP BY ALL"))
    counts: dict[str, Counter[str]] = {}
    for source, status, n, _ in rows:
        counts.setdefault(source, Counter())[status] += n
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))[:_MOST]
    seen = [s for s in STATUSES if any(c[s] for c in counts.values())]
    return Section(
        title="Documents",
        note="What all commits brought, by the kind of source. A document that came again counts again.",
        head=("source", "files", *seen),
        rows=[(source, files[source], *(c[s] for s in seen)) for source, c in ordered],
    )


def languages(look: Look) -> Section | None:
    """Show the languages of the current documents."""
    rows = look.ask("""
        SELECT lang, count(*) AS n, count(*) FILTER (status = 'ok'), min(year), max(year) FROM documents
        GROUP BY lang ORDER BY n DESC, lang LIMIT 20
    """)
    shown = [(lang, n, ok, _years(first, last)) for lang, n, ok, first, last in rows]
    note = "Of the documents that stand in the snapshot, each once."
    return Section("Languages", note, ("language", "documents", "with mentions", "years"), shown) if rows else None


def _years(first: int | None, last: int | None) -> str:
    return "" if first is None else f"{first}" if first == last else f"{first}–{last}"


def failures(look: Look) -> Section | None:
    """Show what went wrong, with examples."""
    rows = look.ask(f"""
        SELECT error_class, n, source_file, source_id, error_stage, error_message FROM (
            SELECT *, count(*) OVER (PARTITION BY error_class) AS n,
                row_number() OVER (PARTITION BY error_class ORDER BY record) AS place
            FROM all_documents WHERE error_class IS NOT NULL)
        WHERE place <= {_EXAMPLES} ORDER BY n DESC, error_class, place LIMIT {_MOST * _EXAMPLES}
    """)
    table: list[Sequence[Cell]] = [
        (name, n, f"{file.rpartition('/')[2]}: {id}", Markup("{} <small>{}</small>").format(message, stage))
        for name, n, file, id, stage, message in rows
    ]
    note = f"Documents that failed, were rejected or are in a language without a tag set, with {_EXAMPLES} examples."
    return Section("What went wrong", note, ("class", "documents", "document", "message"), table) if rows else None


def types(look: Look) -> Section | None:
    """Show the mentions by type."""
    rows = look.ask(f"""
        SELECT tag_set, type, count(*) AS n, count(DISTINCT doc_key), count(DISTINCT lower(text)),
            avg(coalesce(selector_score, generator_score))
        FROM mentions GROUP BY tag_set, type ORDER BY n DESC, tag_set, type LIMIT {_TYPES}
    """)
    if not rows:
        return None
    counts = {f"{type} ({tag_set})": {"mentions": n} for tag_set, type, n, *_ in rows[:_MOST]}
    return Section(
        title="Mentions by type",
        head=("tag set", "type", "mentions", "documents", "different texts", "mean score"),
        rows=rows,
        plot=shares_plot(counts, ["mentions"]),
    )


def frequent(look: Look) -> Section | None:
    """Show the most frequent texts of each type."""
    rows = look.ask(f"""
        SELECT tag_set, type, text, n FROM (
            SELECT *, row_number() OVER (PARTITION BY tag_set, type ORDER BY n DESC, text) AS place,
                sum(n) OVER (PARTITION BY tag_set, type) AS total
            FROM (SELECT tag_set, type, lower(text) AS text, count(*) AS n FROM mentions GROUP BY ALL))
        WHERE place <= 12 ORDER BY total DESC, tag_set, type, place LIMIT {12 * _MOST}
    """)
    texts: dict[tuple[str, str], list[Markup]] = {}
    for tag_set, type, text, n in rows:
        texts.setdefault((tag_set, type), []).append(Markup("{} <small>{:,}</small>").format(text, n))
    table = [(tag_set, type, Markup(", ").join(found)) for (tag_set, type), found in texts.items()]
    return Section("Most frequent texts", "", ("tag set", "type", "texts"), table) if rows else None


def concepts(look: Look) -> Section | None:
    """Show the concepts that most documents mention."""
    rows = look.ask(f"""
        SELECT concept_id, any_value(concept_name), any_value(concept_type), count(DISTINCT doc_key) AS n, count(*)
        FROM links WHERE rank = 1 GROUP BY concept_id ORDER BY n DESC, concept_id LIMIT {_MOST}
    """)
    if not rows:
        return None
    [(linked, ambiguous)] = look.ask("SELECT count(*), count(*) FILTER (candidates > 1) FROM links WHERE rank = 1")
    [(all_,)] = look.ask("SELECT count(*) FROM mentions")
    return Section(
        title="Concepts in most documents",
        note=f"{linked:,} of {all_:,} mentions are linked ({linked / all_:.0%}), {ambiguous:,} of them to several.",
        head=("concept", "name", "type", "documents", "mentions"),
        rows=[(_linked(id), name, type, n, m) for id, name, type, n, m in rows],
    )


def _linked(id: str) -> Markup:
    url = address(id)
    return Markup('<a href="{}" rel="noreferrer">{}</a>').format(url, id) if url else Markup.escape(id)


def lengths(look: Look) -> Section | None:
    """Show how long mentions are."""
    rows = look.ask("""
        SELECT least(("end" - start - 1) // 5, 12)::INTEGER AS bin, count(*) FROM mentions GROUP BY bin ORDER BY bin
    """)
    if not rows:
        return None
    names = {bin: f"{bin * 5 + 1}–{bin * 5 + 5}" if bin < 12 else "over 60" for bin, _ in rows}
    counts = {names[bin]: n for bin, n in rows}
    return Section(
        title="Length of mentions",
        note="In characters.",
        head=("characters", "mentions"),
        rows=list(counts.items()),
        plot=columns_plot({"mentions": list(counts.values())}, list(counts), x="characters", y="mentions"),
    )


def scores(look: Look) -> Section | None:
    """Show how sure the model is, and what its selector lets pass."""
    rows = look.ask("""
        SELECT least(floor(coalesce(m.selector_score, m.generator_score) * 10), 9)::INTEGER AS bin,
            count(*) FILTER (m.kept), count(*) FILTER (NOT m.kept)
        FROM (SELECT unnest(mentions) AS m FROM documents) GROUP BY bin ORDER BY bin
    """)
    if not rows:
        return None
    kept, dropped = sum(row[1] for row in rows), sum(row[2] for row in rows)
    series = {"kept": [row[1] for row in rows]} | ({"not kept": [row[2] for row in rows]} if dropped else {})
    names = [f"{bin / 10:.1f}–{(bin + 1) / 10:.1f}" for bin, *_ in rows]
    accepted = f" Of {kept + dropped:,} candidates {kept:,} were kept ({kept / (kept + dropped):.0%})."
    return Section(
        title="Scores",
        note=f"The selector's where one judged, else the generator's.{accepted if dropped else ''}",
        head=("score", *series),
        rows=list(zip(names, *series.values(), strict=True)),
        plot=columns_plot(series, names, x="score", y="candidates"),
    )


def reliability(look: Look) -> Section | None:
    """Show whether scores are probabilities, where gold annotations tell."""
    return None if look.judged is None else judged_section(look.judged)


def runs(look: Look) -> Section | None:
    """Show what each commit took."""
    return rates(look.manifests)


def costs(look: Look) -> Section | None:
    """Show what each commit cost, where somebody says what an hour does."""
    return None if look.price is None else cost(look.manifests, look.price)


def changed(look: Look) -> Section | None:
    """Show what the last batch has more or less of than those before it."""
    return drift(look.connection)


def graph(look: Look) -> Section | None:
    """Show the strongest part of the graph."""
    if look.picture is None:
        return None
    note = (
        "Concepts that occur together far more often than by chance, by log-likelihood. The wider a line, the more "
        "documents; the larger a name, the more documents mention it."
    )
    return Section("Concepts that occur together", note, picture=look.picture)


SECTIONS: tuple[Callable[[Look], Section | None], ...] = (
    documents,
    languages,
    failures,
    types,
    frequent,
    concepts,
    graph,
    scores,
    reliability,
    lengths,
    changed,
    runs,
    costs,
)
