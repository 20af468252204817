"""An embedded graph database of an export, to look at the graph without a server.

Ladybug is a strict loader: an edge to a missing node or a second node of one key stops it. The database is a
by-product: made from an export of all, and brought up to date by differences, each of which must follow on its commit.

Invariant: a database is there when it is complete; a difference that was cut off may be loaded again.
"""

import os
from pathlib import Path
from typing import Any

from llmner.errors import ConfigError, DatasetError
from llmner.graph.cypher import deletion
from llmner.graph.export import read_description
from llmner.graph.relations import EDGES, RELATIONS, ColumnType, Relation

_TYPES: dict[ColumnType, str] = {
    "VARCHAR": "STRING",
    "INTEGER": "INT32",
    "BIGINT": "INT64",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOL",
}
_BUFFER = 256 << 20  # bytes for each million edges: a smaller pool makes the load fail
_CSV = "(header=true, parallel=false)"


def load(out: str, file: Path) -> int:
    """Load an export for Neo4j into a database.

    Args:
        out: The export, on this machine: of all for a new database, of a difference for one that is there.
        file: The database.

    Returns:
        The commit that the database now holds.

    Raises:
        ConfigError: The export is for something else, the database is there already, or ladybug is not installed.
        DatasetError: The export cannot be loaded, or does not follow on the database's commit.
    """
    ladybug = _ladybug()
    description = read_description(out)
    if description["format"] != "neo4j":
        raise ConfigError(f"{out}: an export for {description['format']}", hint="load one for neo4j")
    whole, commit = description["since"] is None, int(description["commit"])
    if whole and file.exists():
        raise ConfigError(f"{file}: there is a database already", hint="remove it, or load a difference (--since)")
    target = file.with_name(f"{file.name}.part") if whole else file
    if whole:
        _remove(target)
    elif not file.exists():
        raise ConfigError(f"{file}: no such database", hint="load an export of all first")
    millions = 1 + sum(description["rows"][r.name] for r in EDGES) // 1_000_000
    try:
        with (
            ladybug.Database(str(target), buffer_pool_size=_BUFFER * millions) as database,
            ladybug.Connection(database) as connection,
        ):
            if whole:
                _load_all(connection, Path(out))
            else:
                _load_difference(connection, Path(out), description["since"])
            connection.execute(f"MERGE (e:Export {{id: 0}}) SET e.commit = {commit}")
    except RuntimeError as e:
        raise DatasetError(f"{out}: cannot be loaded: {e}", hint="`llmner export check` says what is wrong") from e
    if whole:
        os.replace(target, file)
    return commit


def query(file: Path, cypher: str) -> tuple[list[str], list[list[Any]]]:
    """Ask a database.

    Args:
        file: The database.
        cypher: A query that changes nothing.

    Returns:
        Names of the columns and the rows.

    Raises:
        ConfigError: There is no database, or the query cannot be answered.
    """
    ladybug = _ladybug()
    if not file.exists():
        raise ConfigError(f"{file}: no such database", hint="make it with `llmner graph load`")
    try:
        with (
            ladybug.Database(str(file), buffer_pool_size=_BUFFER, read_only=True) as database,
            ladybug.Connection(database) as connection,
        ):
            result = connection.execute(cypher)
            return result.get_column_names(), result.get_all()
    except RuntimeError as e:
        raise ConfigError(f"{cypher}: {e}") from e


def _ladybug() -> Any:
    try:
        import ladybug
    except ImportError as e:
        raise ConfigError("ladybug is not installed", hint="pip install 'llmner[graph]'") from e
    return ladybug


def _remove(target: Path) -> None:
    for path in (target, target.with_name(f"{target.name}.wal")):
        path.unlink(missing_ok=True)


def _load_all(connection: Any, out: Path) -> None:
    connection.execute("CREATE NODE TABLE Export (id INT64 PRIMARY KEY, commit INT64)")
    for relation in RELATIONS:
        columns = [f"{name} {_TYPES[type]}" for name, type in relation.properties.items()]
        if relation.ends is None:
            declared = f"NODE TABLE {relation.label} (id STRING PRIMARY KEY, {', '.join(columns)})"
        else:
            subject, object = relation.ends
            declared = f"REL TABLE {relation.label} (FROM {subject.label} TO {object.label}, {', '.join(columns)})"
        connection.execute(f"CREATE {declared}")
        csv, parquet = out / f"{relation.name}.csv", out / f"{relation.name}.parquet"
        source = f"'{parquet}'" if parquet.exists() else f"'{csv}' {_CSV}"
        connection.execute(f"COPY {relation.label} FROM {source}")


def _load_difference(connection: Any, out: Path, since: int) -> None:
    [[held]] = connection.execute("MATCH (e:Export) RETURN e.commit").get_all()
    if held != since:
        raise DatasetError(
            f"{out}: a difference to commit {since}, the database holds {held}", hint=f"export with --since {held}"
        )
    for relation in reversed(RELATIONS):
        keys = ", ".join(f"key_{name} STRING" for name in relation.key)
        connection.execute(
            f"LOAD WITH HEADERS ({keys}) FROM '{out}/deleted_{relation.name}.csv' {_CSV} {deletion(relation, 'key_')}"
        )
    for relation in RELATIONS:
        columns = ", ".join(f"new_{name} {_TYPES[type]}" for name, type in relation.columns.items())
        connection.execute(f"LOAD WITH HEADERS ({columns}) FROM '{out}/{relation.name}.csv' {_CSV} {_merged(relation)}")


def _merged(relation: Relation) -> str:
    values = ", ".join(f"x.{name} = new_{name}" for name in relation.properties)
    if relation.ends is None:
        return f"MERGE (x:{relation.label} {{id: new_id}}) SET {values}"
    subject, object = relation.ends
    ends = f"MATCH (a:{subject.label} {{id: new_subject}}), (b:{object.label} {{id: new_object}})"
    return f"{ends} MERGE (a)-[x:{relation.label}]->(b) SET {values}"
