"""The documents of an export with their mentions, for formats that carry texts.

Invariant: offsets are those of the document's text. What a format cannot carry, such as a line break, is replaced
character for character, so they hold in the written text, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from llmner.graph.snapshot import Rows

_DOCUMENTS = 256  # at a time


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mention as these formats have it.

    Attributes:
        start: First code point.
        end: One past the last.
        type: Entity type.
        concepts: What it is linked to; several identifiers where it is ambiguous, none where it is not linked.
    """

    start: int
    end: int
    type: str
    concepts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A document.

    Attributes:
        id: Its identifier in the graph, a PMID without its prefix.
        text: All of it.
        title: Code points of the title at the beginning of the text; 0 where the text does not begin with a title.
        annotations: In the order of the text.
    """

    id: str
    text: str
    title: int
    annotations: tuple[Annotation, ...]


def annotated_texts(rows: Rows) -> Iterator[AnnotatedText]:
    """Yield the documents to write, in the order of their identifiers, a few in memory at a time."""
    changed = "" if rows.since is None else "SEMI JOIN new_view.changed USING (source, source_id)"
    result = rows.connection.cursor().execute(_QUERY.format(changed=changed))
    while found := result.fetchmany(_DOCUMENTS):
        for id, text, title, mentions in found:
            annotations = tuple(
                Annotation(m["start"], m["end"], m["type"], tuple(m["concepts"] or ())) for m in mentions or ()
            )
            begins = title and text.startswith(title) and text[len(title) : len(title) + 1].isspace()
            yield AnnotatedText(id.removeprefix("PMID:"), text, len(title) if begins else 0, annotations)


def deleted_ids(rows: Rows) -> list[str]:
    """Return the identifiers of documents that are no more, sorted."""
    sql = "SELECT id FROM old.documents SEMI JOIN new_view.withdrawn USING (source, source_id) ORDER BY id"
    return [id.removeprefix("PMID:") for (id,) in rows.connection.execute(sql).fetchall()]


_QUERY = """
WITH linked AS (
    SELECT mention_id, list(concept_id ORDER BY rank) AS concepts FROM new_view.links GROUP BY mention_id),
mentions AS (
    SELECT doc_key, list({{start: m.start, "end": m."end", type: m.type, concepts: linked.concepts}}
        ORDER BY m.start, m."end" DESC, m.type, m.tag_set) AS mentions
    FROM new_view.mentions m LEFT JOIN linked USING (mention_id) GROUP BY doc_key)
SELECT d.id, v.text, v.title, mentions.mentions
FROM new.documents d JOIN new_view.documents v USING (doc_key, source, source_id) {changed}
LEFT JOIN mentions USING (doc_key)
ORDER BY d.id
"""
