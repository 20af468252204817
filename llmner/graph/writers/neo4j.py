"""Neo4j: a file a relation with typed headers, the script that imports them, and one that loads a difference.

Invariant: a comma stands between columns and a line holds one row, since texts have no line breaks. Every Neo4j
reads CSV rightly; Parquet needs 5.26.26 or later of the 5 series, or 2026.03 or later.
"""

from llmner import storage
from llmner.graph.cypher import deletion
from llmner.graph.relations import EDGES, NODES, RELATIONS, ColumnType, Relation
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import copy, write_text

_TYPES: dict[ColumnType, str] = {
    "VARCHAR": "string",
    "INTEGER": "int",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
}
_CONVERSIONS: dict[ColumnType, str] = {
    "VARCHAR": "{}",
    "INTEGER": "toInteger({})",
    "BIGINT": "toInteger({})",
    "DOUBLE": "toFloat({})",
    "BOOLEAN": "toBoolean({})",
}
_PARQUET_VERSIONS = "Parquet needs Neo4j 5.26.26 or later of 5, or 2026.03 or later: others lose the labels or stop."


def header(relation: Relation) -> dict[str, str]:
    """Return Neo4j's name for each column of a relation."""
    if relation.ends is None:
        names = {"id": f"id:ID({relation.label})"}
    else:
        subject, object = relation.ends
        names = {"subject": f":START_ID({subject.label})", "object": f":END_ID({object.label})"}
    return names | {name: f"{name}:{_TYPES[type]}" for name, type in relation.properties.items()}


def write_neo4j(rows: Rows, out: str, *, parquet: bool = False) -> None:
    """Write the relations with ``import.sh``, or for a difference with ``deleted_*`` and ``load.cypher``.

    Args:
        rows: What to write.
        out: Folder.
        parquet: Files for the import in Parquet instead of CSV; a difference is always in CSV.
    """
    suffix = "parquet" if parquet and rows.since is None else "csv"
    options = "FORMAT parquet, COMPRESSION zstd" if suffix == "parquet" else "FORMAT csv, HEADER"
    for relation in RELATIONS:
        names = ", ".join(f'"{name}" AS "{theirs}"' for name, theirs in header(relation).items())
        sql = f"SELECT {names} FROM ({rows.rows(relation)})"
        copy(rows.connection, sql, storage.join(out, f"{relation.name}.{suffix}"), options)
    if rows.since is None:
        write_text(storage.join(out, "import.sh"), _import_script(suffix))
        return
    for relation in RELATIONS:
        copy(rows.connection, rows.deleted(relation), storage.join(out, f"deleted_{relation.name}.csv"), options)
    write_text(storage.join(out, "load.cypher"), _load_script())


def _import_script(suffix: str) -> str:
    files = [f"  --nodes={r.label}={r.name}.{suffix}" for r in NODES]
    files += [f"  --relationships={r.label}={r.name}.{suffix}" for r in EDGES]
    note = f"# {_PARQUET_VERSIONS}\n" if suffix == "parquet" else ""
    return (
        "#!/bin/sh\n# Makes a new Neo4j database of this folder: sh import.sh [DATABASE]\n"
        f'{note}set -eu\ncd "$(dirname "$0")"\n'
        "neo4j-admin database import full \\\n" + " \\\n".join(files) + " \\\n"
        f'  --id-type=string --input-type={suffix} "${{1:-neo4j}}"\n'
    )


def _load_script() -> str:
    parts = [
        "// Brings a database to the state of this export: cypher-shell -f load.cypher,\n"
        "// with the files of this folder in Neo4j's import folder.\n"
    ]
    parts += [f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{r.label}) REQUIRE n.id IS UNIQUE;\n" for r in NODES]
    for relation in reversed(RELATIONS):
        parts.append(_batched(f"deleted_{relation.name}.csv", f"  {deletion(relation, 'row.')}"))
    for relation in RELATIONS:
        parts.append(_batched(f"{relation.name}.csv", _merging(relation)))
    return "\n".join(parts)


def _batched(file: str, body: str) -> str:
    return (
        f":auto LOAD CSV WITH HEADERS FROM 'file:///{file}' AS row\n"
        f"CALL (row) {{\n{body}\n}} IN TRANSACTIONS OF 10000 ROWS;\n"
    )


def _merging(relation: Relation) -> str:
    names = {name: f"row['{theirs}']" for name, theirs in header(relation).items()}
    values = {name: _CONVERSIONS[type].format(names[name]) for name, type in relation.properties.items()}
    if relation.ends is None:
        found = f"  MERGE (x:{relation.label} {{id: {names['id']}}})"
    else:
        subject, object = relation.ends
        found = (
            f"  MATCH (a:{subject.label} {{id: {names['subject']}}}), (b:{object.label} {{id: {names['object']}}})\n"
            f"  MERGE (a)-[x:{relation.label}]->(b)"
        )
    return found + "\n  SET " + ", ".join(f"x.{name} = {value}" for name, value in values.items())
