"""What the graph consists of: two kinds of nodes, three kinds of edges, and the columns of each.

Invariant: every writer, the check and the loader take names, columns, keys and ends from here; a node has one
column for its key, ``id``, and an edge two, ``subject`` and ``object``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN"]


@dataclass(frozen=True)
class Relation:
    """Nodes or edges of one kind.

    Attributes:
        name: Name of the table and of its files.
        label: What graph databases call it.
        columns: Types by name, in order, the key first.
        ends: For edges the relations that hold subject and object; None for nodes.
        required: Columns that are never null.
    """

    name: str
    label: str
    columns: Mapping[str, ColumnType]
    required: tuple[str, ...]
    ends: tuple["Relation", "Relation"] | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell one row from another."""
        return ("id",) if self.ends is None else ("subject", "object")

    @property
    def properties(self) -> dict[str, ColumnType]:
        """The other columns."""
        return {name: type for name, type in self.columns.items() if name not in self.key}


DOCUMENTS = Relation(
    "documents",
    "Document",
    {
        "id": "VARCHAR",
        "title": "VARCHAR",
        "year": "INTEGER",
        "lang": "VARCHAR",
        "source": "VARCHAR",
        "source_id": "VARCHAR",
        "version": "INTEGER",
    },
    ("id", "lang", "source", "source_id", "version"),
)

CONCEPTS = Relation(
    "concepts",
    "Concept",
    {
        "id": "VARCHAR",
        "name": "VARCHAR",
        "type": "VARCHAR",
        "source": "VARCHAR",  # vocabulary; null for a name that no lexicon has
        "documents": "BIGINT",  # that mention it
    },
    ("id", "name", "type", "documents"),
)

MENTIONS = Relation(
    "mentions",
    "MENTIONS",
    {
        "subject": "VARCHAR",
        "object": "VARCHAR",
        "count": "BIGINT",  # spans
        "start": "INTEGER",  # of the first one, in code points
        "score": "DOUBLE",  # the best of the model's, in [0, 1]
        "link_score": "DOUBLE",  # the best of the links'; null where nothing is linked
        "ambiguous": "BOOLEAN",  # whether every one of them may also mean another concept
    },
    ("subject", "object", "count", "start", "score", "ambiguous"),
    (DOCUMENTS, CONCEPTS),
)

CO_OCCURS = Relation(
    "co_occurs",
    "CO_OCCURS_WITH",
    {
        "subject": "VARCHAR",  # before the object in the order of text
        "object": "VARCHAR",
        "documents": "BIGINT",  # that mention both
        "pmi": "DOUBLE",  # pointwise mutual information, bits, over documents
        "log_likelihood": "DOUBLE",  # ratio G^2 over documents; negative where they meet less often than by chance
        "sentences": "BIGINT",  # that mention both
        "sentence_pmi": "DOUBLE",  # null where there is no such sentence
        "sentence_log_likelihood": "DOUBLE",
    },
    ("subject", "object", "documents", "pmi", "log_likelihood", "sentences"),
    (CONCEPTS, CONCEPTS),
)

NESTED_IN = Relation(
    "nested_in",
    "NESTED_IN",
    {
        "subject": "VARCHAR",  # the inner one
        "object": "VARCHAR",  # the one right around it
        "count": "BIGINT",
        "documents": "BIGINT",
    },
    ("subject", "object", "count", "documents"),
    (CONCEPTS, CONCEPTS),
)

NODES = (DOCUMENTS, CONCEPTS)
EDGES = (MENTIONS, CO_OCCURS, NESTED_IN)
RELATIONS = (*NODES, *EDGES)
