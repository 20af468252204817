"""The rows that an export writes: a whole graph, or what lies between two.

Invariant: who deletes ``deleted`` from the old graph, and then puts every row of ``rows`` in the place of the one with
the same key, has the new graph, row for row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from llmner.dataset.links import Links, current_links
from llmner.dataset.view import View, attach, changes, database, open_view
from llmner.errors import DatasetError
from llmner.graph.build import Cutoffs, build
from llmner.graph.relations import Relation


@dataclass(frozen=True)
class Rows:
    """What there is to write, as relations of a database.

    Attributes:
        connection: The database.
        view: The view of the data set.
        since: The commit that the rows are the difference to; None for a whole graph.
        links: Digest of the lexicons that its mentions are linked with; None without links.
    """

    connection: duckdb.DuckDBPyConnection
    view: View
    since: int | None
    links: str | None

    def rows(self, relation: Relation) -> str:
        """SQL of the rows to write, new and changed ones, sorted by key."""
        columns = ", ".join(f'"{name}"' for name in relation.columns)
        key = ", ".join(relation.key)
        if self.since is None:
            return f"SELECT {columns} FROM new.{relation.name} ORDER BY {key}"
        return (
            f"SELECT {columns} FROM new.{relation.name} EXCEPT SELECT {columns} FROM old.{relation.name} ORDER BY {key}"
        )

    def deleted(self, relation: Relation) -> str:
        """SQL of the keys to delete, sorted; only for a difference."""
        key = ", ".join(relation.key)
        return f"SELECT {key} FROM old.{relation.name} ANTI JOIN new.{relation.name} USING ({key}) ORDER BY {key}"

    def count(self, sql: str) -> int:
        """Number of rows of a statement."""
        [(count,)] = self.connection.execute(f"SELECT count(*) FROM ({sql})").fetchall()
        return int(count)


@contextmanager
def open_rows(
    uri: str, output: str, cutoffs: Cutoffs, *, commit: int | None = None, since: int | None = None, memory: str = "4GB"
) -> Iterator[Rows]:
    """Build a data set's graph, and where asked the one of an earlier commit, with the current links.

    Args:
        uri: The data set.
        output: Where it will be written.
        cutoffs: Which co-occurrences become edges.
        commit: The commit to build; the newest by default.
        since: Only what has changed since this commit.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: There is no data set, no such commit, or mentions that are not linked yet.
    """
    view = open_view(uri, commit)
    if since is not None and since > view.commit:
        raise DatasetError(f"{uri}: commit {since} is later than {view.commit}", hint="--since takes an earlier one")
    links = current_links(view.uri)
    with database(view.uri, output, memory=memory) as connection:
        _build(connection, view, "new", cutoffs, links)
        if since is not None:
            _build(connection, open_view(uri, since), "old", cutoffs, links)
            changes(connection, "old_view", "new_view")
        yield Rows(connection, view, since, links.digest if links is not None else None)


def _build(connection: duckdb.DuckDBPyConnection, view: View, name: str, cutoffs: Cutoffs, links: Links | None) -> None:
    attach(connection, view, f"{name}_view", links=links)
    build(connection, f"{name}_view", name, cutoffs)
