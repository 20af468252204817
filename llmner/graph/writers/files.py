"""Writing the result of a query to one file, and small texts beside it."""

import duckdb

from llmner import storage
from llmner.dataset.view import quoted

_TEXT = "FORMAT csv, HEADER false, DELIMITER E'\\x01', QUOTE '', ESCAPE ''"  # no line has that character


def copy(connection: duckdb.DuckDBPyConnection, sql: str, uri: str, options: str) -> None:
    """Write the rows of a statement to a file, in their order.

    Args:
        connection: The database.
        sql: The statement.
        uri: The file.
        options: What DuckDB's ``COPY`` is to make of them.
    """
    with storage.access(uri):
        connection.execute(f"COPY ({sql}) TO '{quoted(uri)}' ({options})")


def copy_lines(connection: duckdb.DuckDBPyConnection, sql: str, uri: str) -> None:
    """Write the texts of a statement with one column to a file, a line each, as they are."""
    copy(connection, sql, uri, _TEXT)


def write_text(uri: str, text: str) -> None:
    """Write a small file."""
    with storage.access(uri):
        storage.write_whole(uri, text.encode())
