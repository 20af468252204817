"""Two data sets of the same documents side by side: where two models, thresholds or versions differ.

Invariant: mentions are compared in documents that both hold with the same text, and nowhere else.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
from markupsafe import Markup

from llmner.dataset.fingerprint import Fingerprint
from llmner.dataset.reading import open_committed
from llmner.dataset.snapshot import MEMORY, Snapshot
from llmner.dataset.view import attach, database
from llmner.documents import SOURCE_SCHEMA
from llmner.evaluation.mistakes import KINDS, Kind, Mistake, mistakes
from llmner.report.evaluation import context
from llmner.report.sections import Section
from llmner.report.templates import TEMPLATES

if TYPE_CHECKING:
    import duckdb

_KEYS = pa.schema([SOURCE_SCHEMA.field(name) for name in ("source", "source_id")])
EXAMPLES = 12  # of each kind

# What a difference is called: as the mistakes that the second would make if the first were right.
NAMES: dict[Kind, str] = {
    "type": "other type",
    "boundary": "other boundary",
    "boundary and type": "other boundary and type",
    "spurious": "only in the second",
    "missed": "only in the first",
}


@dataclass(frozen=True)
class OfType:
    """The mentions of a type.

    Attributes:
        tag_set: Name of its tag set.
        type: The type.
        first: Mentions in the first data set.
        second: Mentions in the second one.
        both: Mentions that are the same.
    """

    tag_set: str
    type: str
    first: int
    second: int
    both: int

    @property
    def agreement(self) -> float:
        """F1 of the one against the other."""
        return 2 * self.both / max(1, self.first + self.second)


@dataclass(frozen=True)
class Difference:
    """A difference, in its document.

    Attributes:
        document: Source and identifier.
        text: Text of the document.
        mistake: What would be wrong with the second if the first were right.
    """

    document: str
    text: str
    mistake: Mistake


@dataclass
class Comparison:
    """What two data sets have in common, and where they differ.

    Attributes:
        names: Of the two.
        made_with: The parts of the fingerprint that differ, ``part: first -> second``.
        documents: Documents that both hold with the same text, ``same``; those of which the text is another one,
            ``changed``; those that only one holds, ``first`` and ``second``.
        types: By type, the most frequent first.
        kinds: How often they differ, by kind.
        examples: Some differences of each kind.
    """

    names: tuple[str, str]
    made_with: list[str]
    documents: dict[str, int]
    types: list[OfType]
    kinds: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[Difference]] = field(default_factory=dict)

    @property
    def all(self) -> OfType:
        """All types together."""
        return OfType("", "all", *(sum(getattr(t, n) for t in self.types) for n in ("first", "second", "both")))


def compare(first: Snapshot, second: Snapshot, *, memory: str = MEMORY) -> Comparison:
    """Compare two snapshots.

    Args:
        first: The one.
        second: The other one.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: A part of one is damaged.
    """
    parts = [open_committed(snapshot.uri).description.parts for snapshot in (first, second)]
    with database(first.uri, second.uri, memory=memory) as connection:
        attach(connection, first.view, "first")
        attach(connection, second.view, "second")
        connection.execute(_COMPARED)
        documents = dict(connection.execute(_DOCUMENTS).fetchall())
        comparison = Comparison(
            names=(f"{first.uri}, commit {first.commit}", f"{second.uri}, commit {second.commit}"),
            made_with=Fingerprint(parts[1]).difference(parts[0]),
            documents={name: documents.get(name, 0) for name in ("same", "changed", "first", "second")},
            types=[OfType(*row) for row in connection.execute(_TYPES).fetchall()],
        )
        _add_differences(connection, comparison)
    return comparison


_COMPARED = """
CREATE TEMP TABLE compared AS
SELECT source, source_id, a.doc_key AS first_key, b.doc_key AS second_key,
    CASE WHEN a.doc_key IS NULL THEN 'second' WHEN b.doc_key IS NULL THEN 'first'
        WHEN a.text_sha256 = b.text_sha256 THEN 'same' ELSE 'changed' END AS state
FROM (SELECT source, source_id, doc_key, text_sha256 FROM "first".documents) a
FULL JOIN (SELECT source, source_id, doc_key, text_sha256 FROM "second".documents) b USING (source, source_id);

CREATE TEMP TABLE pairs AS
WITH a AS (
    SELECT source, source_id, tag_set, type, start, "end" FROM "first".mentions
    SEMI JOIN (FROM compared WHERE state = 'same') USING (source, source_id)
), b AS (
    SELECT source, source_id, tag_set, type, start, "end" FROM "second".mentions
    SEMI JOIN (FROM compared WHERE state = 'same') USING (source, source_id)
)
SELECT source, source_id, tag_set, type, start, "end", bool_or(of_first) AS of_first, bool_or(NOT of_first) AS of_second
FROM (SELECT *, true AS of_first FROM a UNION ALL SELECT *, false AS of_first FROM b)
GROUP BY ALL
"""
_DOCUMENTS = "SELECT state, count(*) FROM compared GROUP BY state"
_TYPES = """
SELECT tag_set, type, count(*) FILTER (of_first), count(*) FILTER (of_second), count(*) FILTER (of_first AND of_second)
FROM pairs GROUP BY tag_set, type ORDER BY count(*) DESC, tag_set, type
"""
_DIFFERING = """
SELECT source, source_id,
    list((start, "end", type) ORDER BY start, "end", type) FILTER (of_first),
    list((start, "end", type) ORDER BY start, "end", type) FILTER (of_second)
FROM pairs WHERE NOT (of_first AND of_second)
GROUP BY source, source_id, tag_set ORDER BY hash(source_id), source, source_id, tag_set
"""


def _add_differences(connection: "duckdb.DuckDBPyConnection", comparison: Comparison) -> None:
    """Tell the differences apart by kind, and choose examples."""
    chosen: dict[Kind, list[tuple[str, str, Mistake]]] = {kind: [] for kind in KINDS}
    found = connection.execute(_DIFFERING)
    while rows := found.fetchmany(1000):
        for source, id, first, second in rows:
            for mistake in mistakes(first or (), second or ()):
                comparison.kinds[mistake.kind] += 1
                if len(chosen[mistake.kind]) < EXAMPLES:
                    chosen[mistake.kind].append((source, id, mistake))
    wanted = sorted({(source, id) for own in chosen.values() for source, id, _ in own})
    columns = {"source": [key[0] for key in wanted], "source_id": [key[1] for key in wanted]}
    connection.from_arrow(pa.table(columns, schema=_KEYS)).create("wanted")
    texts = {
        (source, id): text
        for source, id, text in connection.execute(
            'SELECT source, source_id, text FROM "first".documents SEMI JOIN wanted USING (source, source_id)'
        ).fetchall()
    }
    comparison.examples = {
        kind: [Difference(f"{s} {id}", texts[s, id], mistake) for s, id, mistake in own]
        for kind, own in chosen.items()
        if own
    }


def comparison_page(comparison: Comparison) -> str:
    """Make the page of a comparison.

    Returns:
        A complete HTML document.
    """
    all_ = comparison.all
    return TEMPLATES.get_template("figures.html").render(
        title="Two data sets compared",
        about=[f"First: {comparison.names[0]}", f"Second: {comparison.names[1]}"],
        figures={"documents in both": comparison.documents["same"]}
        | {"mentions in the first": all_.first, "in the second": all_.second}
        | {"agreement": f"{all_.agreement:.3f}"},
        sections=[make for make in (_documents(comparison), *_sections(comparison)) if make is not None],
        made_with={},
    )


def _documents(comparison: Comparison) -> Section:
    names = {"same": "with the same text in both", "changed": "with another text", "first": "only in the first"}
    names["second"] = "only in the second"
    return Section(
        title="What is compared",
        note="Mentions are compared in documents that both hold with the same text. Made with: "
        + ("; ".join(comparison.made_with) or "the same in both")
        + ".",
        head=("documents", "number"),
        rows=[(names[name], n) for name, n in comparison.documents.items()],
    )


def _sections(comparison: Comparison) -> Sequence[Section]:
    if not comparison.types:
        return []
    types = Section(
        title="By type",
        note="Agreement is the F1 of the one against the other: the same span with the same type.",
        head=("tag set", "type", "first", "second", "in both", "agreement"),
        rows=[(t.tag_set, t.type, t.first, t.second, t.both, t.agreement) for t in comparison.types],
    )
    kinds = Section(
        title="Kinds of differences",
        note="Two mentions that overlap are one difference; what is left over stands in one of the two alone.",
        head=("kind", "number"),
        rows=[(NAMES[kind], comparison.kinds[kind]) for kind in KINDS],
    )
    examples = [
        Section(
            title=f"Examples: {NAMES[kind]}",
            head=("document", "first", "second"),
            rows=[
                (
                    Markup.escape(d.document),
                    _shown(d, Mistake(kind, d.mistake.gold, None)),
                    _shown(d, Mistake(kind, None, d.mistake.predicted)),
                )
                for d in differences
            ],
        )
        for kind, differences in comparison.examples.items()
    ]
    return [types, kinds, *examples]


def _shown(difference: Difference, side: Mistake) -> Markup:
    """Return one side of a difference in its context, with its type; of a side without a mention nothing."""
    mention = side.gold or side.predicted
    if mention is None:
        return Markup("<small>–</small>")
    return Markup("{} <small>{}</small>").format(context(difference.text, side), mention[2])
