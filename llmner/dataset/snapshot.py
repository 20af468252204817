"""A data set as of a commit, for readers: ``open_dataset("entities").mentions.to_table()``.

Invariant: a snapshot never changes, whatever is committed later. It holds each document once, in the newest version
that its source has not withdrawn, and each mention once. It is read from the committed files; nothing is copied.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from llmner.dataset.layout import Layout
from llmner.dataset.links import Links
from llmner.dataset.manifest import find_manifest
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA
from llmner.dataset.view import View, attach, changes, database, open_view
from llmner.errors import DatasetError

if TYPE_CHECKING:
    import duckdb

MEMORY = "4GB"


@dataclass(frozen=True)
class Rows:
    """The rows of a snapshot's documents, or of its mentions.

    Attributes:
        schema: Their columns.
    """

    schema: pa.Schema
    _snapshot: "Snapshot"
    _name: Literal["documents", "mentions"]

    def to_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows, or some columns of them, in no particular order."""
        return pa.Table.from_batches(self.to_batches(columns), self._selected(columns))

    def to_batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the rows part by part."""
        schema = self._selected(columns)
        names = ", ".join(f'"{name}"' for name in schema.names)
        with self._snapshot.database() as connection:
            for batch in connection.sql(f"SELECT {names} FROM {self._name}").to_arrow_reader():
                yield batch.cast(schema)

    def _selected(self, columns: Sequence[str] | None) -> pa.Schema:
        if unknown := set(columns or ()) - set(self.schema.names):
            raise DatasetError(f"no columns {sorted(unknown)}", hint=f"there are {', '.join(self.schema.names)}")
        return self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])


@dataclass(frozen=True)
class Changes:
    """What lies between two snapshots; both tables have the columns ``source`` and ``source_id``.

    Attributes:
        changed: Documents that are new, or whose text, mentions or year are others.
        withdrawn: Documents that are no more.
    """

    changed: pa.Table
    withdrawn: pa.Table


@dataclass(frozen=True)
class Snapshot:
    """A data set as of a commit.

    Attributes:
        view: Its files.
    """

    view: View

    @property
    def uri(self) -> str:
        """Where the data set lies."""
        return self.view.uri

    @property
    def commit(self) -> int:
        """Number of the last commit that counts; 0 before the first."""
        return self.view.commit

    @property
    def documents(self) -> Rows:
        """The documents, one a row, with their mentions nested in them."""
        return Rows(DOCUMENT_SCHEMA, self, "documents")

    @property
    def mentions(self) -> Rows:
        """The mentions that are kept, one a row."""
        return Rows(MENTION_SCHEMA, self, "mentions")

    def of_batch(self, batch: str) -> "Snapshot":
        """Return what one batch brought of it; of one that was compacted, what compaction has left.

        Raises:
            DatasetError: There is no such batch in it.
        """
        manifest = find_manifest(Layout.at(self.uri), batch)
        if manifest is None or manifest.commit > self.commit:
            raise DatasetError(f"{self.uri}: no batch {batch}", hint="`llmner snapshots` lists them")
        files = tuple(f for f in self.view.files if f.commit in (None, manifest.commit))
        return replace(self, view=replace(self.view, files=files, only=manifest.commit))

    def changes(self, since: int) -> Changes:
        """Return what has changed since an earlier commit: who takes it over has this snapshot.

        Raises:
            DatasetError: There is no such commit before this one.
        """
        if since > self.commit:
            raise DatasetError(f"{self.uri}: commit {since} is later than {self.commit}", hint="give an earlier one")
        with self.database() as connection:
            attach(connection, open_view(self.uri, since), "before")
            changes(connection, "before", "snapshot")
            found = [connection.sql(f"FROM snapshot.{name}").to_arrow_table() for name in ("changed", "withdrawn")]
        return Changes(*found)

    @contextmanager
    def database(self, memory: str = MEMORY, *, links: Links | None = None) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Open a DuckDB database with the relations ``documents``, ``mentions`` and ``links``.

        Args:
            memory: Most that DuckDB may hold; what does not fit goes to temporary files.
            links: Links of the mentions; without them ``links`` is empty.
        """
        with database(self.uri, memory=memory) as connection:
            attach(connection, self.view, "snapshot", links=links)
            connection.execute("USE snapshot")
            yield connection


def open_dataset(uri: str, *, commit: int | None = None) -> Snapshot:
    """Open a data set for reading, as it is now or as it was.

    Args:
        uri: Path or URI.
        commit: The last commit that counts; by default the newest.

    Raises:
        DatasetError: There is no data set, no such commit, or a part of it is damaged.
        AccessError, StorageError: See ``storage.access``.
    """
    return Snapshot(open_view(uri, commit))
