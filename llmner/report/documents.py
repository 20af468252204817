"""The documents of a snapshot that somebody wants to look at, with what is known of their mentions.

Invariant: the same question to the same snapshot gives the same documents in the same order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmner.concepts import address
from llmner.dataset.links import Links, current_links
from llmner.dataset.publish import mention_id
from llmner.dataset.reading import open_committed
from llmner.dataset.snapshot import Snapshot
from llmner.dataset.view import missing_links, quoted
from llmner.documents import Row
from llmner.selection.competition import Rules


def find_documents(
    snapshot: Snapshot,
    *,
    identifier: str | None = None,
    type: str | None = None,
    query: str | None = None,
    most: int = 10,
    dropped: bool = False,
) -> list[Row]:
    """Find documents, in an order that follows from nothing but their keys.

    Args:
        snapshot: Where to look.
        identifier: Identifier of the document in its source, or elsewhere (PMID, DOI...).
        type: They have a mention of this type.
        query: They have a mention with this in its text, or of this concept; with a type in one mention of that type.
        most: The most documents to return.
        dropped: Whether candidates that were not kept stay in the documents, each with the ``reason``.

    Returns:
        Rows of ``DOCUMENT_SCHEMA``. Mentions also have ``concepts``: identifier, name and address of each candidate of
        their link, the best first.
    """
    links = complete_links(snapshot)
    conditions = []
    if identifier is not None:
        one = f"'{quoted(identifier)}'"
        conditions.append(f"(source_id = {one} OR list_contains(map_values(ids), {one}))")
    if type is not None or query is not None:
        conditions.append(f"doc_key IN ({_mentioning(type, query)})")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    with snapshot.database(links=links) as connection:
        keys = f"SELECT doc_key FROM documents {where} ORDER BY status <> 'ok', hash(doc_key), doc_key LIMIT {most}"
        connection.execute(f"CREATE TEMP TABLE wanted AS SELECT *, row_number() OVER () AS place FROM ({keys})")
        found = connection.sql("SELECT * FROM documents JOIN wanted USING (doc_key) ORDER BY place")
        rows: list[Row] = found.to_arrow_table().to_pylist()
        linked = connection.execute("""
            SELECT mention_id, concept_id, concept_name FROM links SEMI JOIN wanted USING (doc_key)
            ORDER BY mention_id, rank
        """).fetchall()
    concepts: dict[str, list[Row]] = {}
    for mention, id, name in linked:
        concepts.setdefault(mention, []).append({"id": id, "name": name, "address": address(id)})
    rules = rules_of(snapshot.uri)
    for row in rows:
        reasons = drop_reasons(row["mentions"], rules)
        for m, reason in zip(row["mentions"], reasons, strict=True):
            id = mention_id(row["doc_key"], m["start"], m["end"], m["type"], m["tag_set"])
            m |= {"concepts": concepts.get(id, []), "reason": reason}
        if not dropped:
            _without_dropped(row)
    return rows


def complete_links(snapshot: Snapshot) -> Links | None:
    """Return the links that readers take by default; None where some mentions of the snapshot are not linked yet."""
    links = current_links(snapshot.uri)
    return None if links is None or missing_links(snapshot.view, links) else links


def rules_of(uri: str) -> Rules | None:
    """Return the rules that a data set's selector decides by; None where it has none."""
    prefix = "selector."
    parts = open_committed(uri).description.parts
    own = {k.removeprefix(prefix): v for k, v in parts.items() if k.startswith(prefix)}
    return Rules.of_parts(own) if own else None


def drop_reasons(mentions: Sequence[Mapping[str, Any]], rules: Rules | None) -> list[str]:
    """Say of each candidate of a document why it was not kept; nothing of one that was.

    Args:
        mentions: Rows of ``MENTION_STRUCT``.
        rules: What decided.
    """
    return ["" if m["kept"] else _drop_reason(m, mentions, rules) for m in mentions]


def _drop_reason(mention: Mapping[str, Any], others: Sequence[Mapping[str, Any]], rules: Rules | None) -> str:
    score = mention["selector_score"]
    if score is None or rules is None:
        return "not kept"
    threshold = rules.threshold_of(mention["tag_set"])
    if score < threshold:
        return f"{score:.2f} is below {threshold:.2f}"
    overlapping = (
        m
        for m in others
        if m["kept"]
        and m["tag_set"] == mention["tag_set"]
        and m["start"] < mention["end"]
        and m["end"] > mention["start"]
    )
    rival = max(overlapping, key=lambda m: m["selector_score"], default=None)
    if rival is None:
        return "not kept"
    return f"loses against {rival['text']} ({rival['type']}, {rival['selector_score']:.2f})"


def _mentioning(type: str | None, query: str | None) -> str:
    """SQL of the documents that have such a mention."""
    conditions = [] if type is None else [f"mentions.type = '{quoted(type)}'"]
    if query is not None:
        text = f"'{quoted(query)}'"
        conditions.append(f"(contains(lower(text), lower({text})) OR concept = {text})")
    return f"""
        SELECT mentions.doc_key FROM mentions
        LEFT JOIN (SELECT mention_id, concept_id AS concept FROM links) USING (mention_id)
        WHERE {" AND ".join(conditions)}
    """


def _without_dropped(row: Row) -> None:
    """Leave the mentions that are kept, their parents counted anew."""
    places = [i for i, m in enumerate(row["mentions"]) if m["kept"]]
    place = {old: new for new, old in enumerate(places)}
    row["mentions"] = [row["mentions"][i] for i in places]
    for m in row["mentions"]:
        m["parent"] = None if m["parent"] is None else place[m["parent"]]
