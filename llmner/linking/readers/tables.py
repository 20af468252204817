"""Tables of one's own: a plain one with our columns, and the Simple Standard for Sharing Literal Mappings (SSSLM)."""

import posixpath
from collections.abc import Iterator, Sequence

from llmner.concepts import is_curie
from llmner.errors import InputError
from llmner.linking.lexicon import KINDS, Kind, Name
from llmner.linking.readers.files import table

_PREDICATES: dict[str, Kind] = {
    "rdfs:label": "preferred",
    "skos:prefLabel": "preferred",
    "oboinowl:hasexactsynonym": "synonym",
    "skos:altLabel": "synonym",
    "oboinowl:hasrelatedsynonym": "related",
}
_KIND_OF_PREDICATE = {predicate.lower(): kind for predicate, kind in _PREDICATES.items()}


def read_tsv(paths: Sequence[str]) -> Iterator[Name]:
    """Read tables with the columns ``id`` and ``name``.

    They may have ``kind``, ``type``, ``source``, ``version`` and ``replaced_by``, too.

    Raises:
        InputError: An identifier that is no CURIE, or an unknown kind.
    """
    for path in paths:
        source = posixpath.basename(path).partition(".")[0]
        for number, row in table(path, ("id", "name")):
            kind = row.get("kind") or "synonym"
            if kind not in KINDS:
                hint = f"a kind is one of {', '.join(KINDS)}"
                raise InputError(f"{path}, line {number}: unknown kind {kind!r}", hint=hint)
            if not is_curie(row["id"]) or not row["name"].strip():
                hint = "an id has the form PREFIX:local"
                raise InputError(f"{path}, line {number}: {row['id']!r} is no CURIE with a name", hint=hint)
            yield Name(
                row["id"],
                row["name"],
                kind,
                row.get("source") or source,
                row.get("type") or None,
                row.get("version") or "",
                row.get("replaced_by") or None,
            )


def read_ssslm(paths: Sequence[str]) -> Iterator[Name]:
    """Read literal mappings; predicates that mean a broader or narrower term are passed over.

    Raises:
        InputError: An identifier that is no CURIE.
    """
    for path in paths:
        for number, row in table(path, ("text", "curie")):
            kind = _KIND_OF_PREDICATE.get((row.get("predicate") or "rdfs:label").lower())
            if not is_curie(row["curie"]):
                raise InputError(f"{path}, line {number}: {row['curie']!r} is no CURIE")
            if kind is not None:
                yield Name(row["curie"], row["text"], kind, row["curie"].partition(":")[0].lower())
