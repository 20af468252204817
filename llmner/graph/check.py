"""Checking the files of an export, as whoever loads them will read them.

The rules: a row has as many fields as its header; what must be there is there; numbers are numbers and finite; texts
hold nothing that a reader takes for a separator; identifiers have a known prefix and are unique in their group, with
those that a difference deletes; both ends of an edge are there.

Invariant: rows are read one after the other; identifiers and ends are compared in DuckDB, in bounded memory. A
problem names the file, the line and the reason.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import duckdb
import pyarrow as pa

from llmner import storage
from llmner.concepts import PREFIXES, is_curie
from llmner.dataset.view import database
from llmner.graph.check_files import rows_of
from llmner.graph.export import read_description
from llmner.graph.row import Row

MOST = 100  # problems that are reported
_ROWS = 50_000  # at a time

_KEYS = pa.schema([("file", pa.string()), ("line", pa.int64()), ("group", pa.string()), ("key", pa.string())])
_ENDS = pa.schema([("file", pa.string()), ("line", pa.int64()), ("end_group", pa.string()), ("id", pa.string())])


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that is wrong in a line of a file."""

    file: str
    line: int
    reason: str


@dataclass
class _Batch:
    """Identifiers and ends of the rows that were read and are not in the database yet."""

    keys: list[tuple[str, int, str, str]] = field(default_factory=list)
    ends: list[tuple[str, int, str, str]] = field(default_factory=list)


def check(out: str, *, prefixes: Iterable[str] = (), memory: str = "4GB") -> list[Problem]:
    """Check an export.

    Args:
        out: Its folder.
        prefixes: Prefixes of identifiers that are known besides ours, for vocabularies of one's own.
        memory: Most that DuckDB may hold.

    Returns:
        The first problems by file and line, at most ``MOST``; none for a sound export.

    Raises:
        DatasetError: There is no finished export.
    """
    out = storage.absolute_uri(out)
    description = read_description(out)
    known = {*PREFIXES, *prefixes}
    problems: list[Problem] = []
    with database(out, memory=memory) as connection:
        for name, schema in (("keys", _KEYS), ("ends", _ENDS)):
            connection.from_arrow(schema.empty_table()).create(name)
        rows = iter(rows_of(out, description["format"], difference=description["since"] is not None))
        while chunk := list(islice(rows, _ROWS)):
            batch = _Batch()
            for row in chunk:
                problems += islice(_problems(row, known), max(0, MOST - len(problems)))
                batch.keys += [(row.file, row.line, group, key) for group, key in row.keys]
                batch.ends += [(row.file, row.line, group, id) for group, id in row.ends]
            _insert(connection, "keys", batch.keys, _KEYS)
            _insert(connection, "ends", batch.ends, _ENDS)
        problems += _repeated(connection)
        if description["since"] is None:  # what a difference refers to may lie in the graph it is for
            problems += _missing(connection)
    return sorted(problems)[:MOST]


def _problems(row: Row, known: set[str]) -> Iterator[Problem]:
    for reason in row.problems:
        yield Problem(row.file, row.line, reason)
    for id in row.identifiers:
        if not is_curie(id):
            yield Problem(row.file, row.line, f"{id!r} is no identifier of the form prefix:local")
        elif id.partition(":")[0] not in known:
            yield Problem(row.file, row.line, f"{id}: unknown prefix {id.partition(':')[0]}")


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[str, int, str, str]], schema: pa.Schema
) -> None:
    if rows:
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        connection.from_arrow(pa.table(columns, schema=schema)).insert_into(table)


def _repeated(connection: duckdb.DuckDBPyConnection) -> list[Problem]:
    found = connection.execute(f"""
        SELECT file, line, key FROM keys QUALIFY row_number() OVER (PARTITION BY "group", key ORDER BY file, line) > 1
        ORDER BY file, line LIMIT {MOST}
    """).fetchall()
    return [Problem(file, line, f"{key} is there more than once") for file, line, key in found]


def _missing(connection: duckdb.DuckDBPyConnection) -> list[Problem]:
    found = connection.execute(f"""
        SELECT file, line, id FROM ends ANTI JOIN keys ON keys."group" = ends.end_group AND keys.key = ends.id
        ORDER BY file, line LIMIT {MOST}
    """).fetchall()
    return [Problem(file, line, f"the edge's end {id} is not among the nodes") for file, line, id in found]
