"""BioCypher: the relations in Parquet, a schema configuration for them, and an adapter that yields them.

The adapter needs pyarrow and nothing of this package; see its text for the three lines that run it.
"""

import yaml

from llmner import storage
from llmner.graph.relations import CONCEPTS, DOCUMENTS, RELATIONS, ColumnType, Relation
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import copy, write_text
from llmner.resources import resource

_TYPES: dict[ColumnType, str] = {
    "VARCHAR": "str",
    "INTEGER": "int",
    "BIGINT": "int",
    "DOUBLE": "float",
    "BOOLEAN": "bool",
}
_IDENTIFIERS = {DOCUMENTS.name: "pubmed", CONCEPTS.name: "curie"}


def write_biocypher(rows: Rows, out: str) -> None:
    """Write ``*.parquet``, ``schema_config.yaml``, ``biocypher_config.yaml`` and ``adapter.py``."""
    for relation in RELATIONS:
        uri = storage.join(out, f"{relation.name}.parquet")
        copy(rows.connection, rows.rows(relation), uri, "FORMAT parquet, COMPRESSION zstd")
    schema = {f"llmner {relation.name}".replace("_", " "): _entry(relation) for relation in RELATIONS}
    write_text(storage.join(out, "schema_config.yaml"), yaml.safe_dump(schema, sort_keys=False))
    settings = {"biocypher": {"dbms": "neo4j", "offline": True, "head_ontology": None}}
    write_text(storage.join(out, "biocypher_config.yaml"), yaml.safe_dump(settings, sort_keys=False))
    write_text(storage.join(out, "adapter.py"), resource("graph/biocypher_adapter.py").read_text("utf-8"))


def _entry(relation: Relation) -> dict[str, object]:
    entry: dict[str, object] = {
        "represented_as": "node" if relation.ends is None else "edge",
        "label_as_edge": relation.label,
        "preferred_id": _IDENTIFIERS.get(relation.name),
        "input_label": relation.name,
        "properties": {name: _TYPES[type] for name, type in relation.properties.items()},
    }
    return {k: v for k, v in entry.items() if v is not None and not (k == "label_as_edge" and relation.ends is None)}
