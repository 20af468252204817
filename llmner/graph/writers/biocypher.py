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
    schema = {relation.label.lower().replace("_", " "): _entry(relation) for relation in RELATIONS}
    write_text(storage.join(out, "schema_config.yaml"), yaml.safe_dump(schema, sort_keys=False))
    # Without a head ontology nothing is fetched; CSV is what every version of Neo4j reads rightly.
    settings = {
        "biocypher": {"dbms": "neo4j", "offline": True, "head_ontology": None},
        "neo4j": {"file_format": "csv", "edge_labels_order": "Leaves"},
    }
    write_text(storage.join(out, "biocypher_config.yaml"), yaml.safe_dump(settings, sort_keys=False))
    write_text(storage.join(out, "adapter.py"), resource("graph/biocypher_adapter.py").read_text("utf-8"))


def _entry(relation: Relation) -> dict[str, object]:
    is_node = relation.ends is None
    return {
        "represented_as": "node" if is_node else "edge",
        **({"preferred_id": _IDENTIFIERS[relation.name]} if is_node else {}),
        "input_label": relation.name,
        "properties": {name: _TYPES[type] for name, type in relation.properties.items()},
    }
