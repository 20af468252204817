"""The ledger: which texts of which documents have been tagged, kept so that a night's records are looked up fast.

An entry is a document's key and the first eight bytes of its text's hash: another text of the same document has those
with a chance of one in 2^64. Entries lie in files by range of commits, each range a power of 32 long and made of the 32
below it, so forty million documents are a few dozen files. A lookup joins all of them once with the records that are
asked for: memory is that of the records, and time that of reading 16 bytes an entry. What was compacted has a file of
its own.

Invariant: the ledger follows from the committed batches alone, and knows no text whose row a compaction has dropped. A
file of it that is missing is made again, and one that is there is never changed.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmner import storage
from llmner.dataset.compaction import Compaction
from llmner.dataset.files import ForEach, read_table, write_batches
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import Manifest
from llmner.dataset.view import database, listed

ENTRY_SCHEMA = pa.schema(
    [pa.field("doc_key", pa.int64(), nullable=False), pa.field("text", pa.uint64(), nullable=False)]
)
TAGGED = ("ok", "empty")
_FOLD = 32  # ranges that become one
_FILES = 256  # of documents, whose entries are in memory together

Range = tuple[int, int]  # of commits, first and last


def entries(doc_key: Sequence[int], text_sha256: Sequence[str]) -> pa.Table:
    """Return documents as entries; the hashes are in hex."""
    text = np.array([int(sha256[:16], 16) for sha256 in text_sha256], np.uint64)
    return pa.table([pa.array(doc_key, pa.int64()), pa.array(text)], schema=ENTRY_SCHEMA)


def ranges(last: int, *, first: int = 1) -> list[Range]:
    """Return the ranges that commits are kept in, oldest first.

    Args:
        last: The newest commit.
        first: The oldest one.
    """
    length = 1
    while length * _FOLD <= last - first + 1:
        length *= _FOLD
    result = []
    while first <= last:
        while first + length - 1 > last:
            length //= _FOLD
        result.append((first, first + length - 1))
        first += length
    return result


class Ledger:
    """What has been tagged in the batches of a data set, up to its newest commit.

    Args:
        layout: The data set.
        manifests: Its manifests in the order of their commits.
        compaction: What holds the rows of the older ones, if anything was compacted.
        memory: Most that a lookup may hold beside its records, e.g. ``1GB``.
    """

    def __init__(
        self,
        layout: Layout,
        manifests: Sequence[Manifest],
        compaction: Compaction | None = None,
        *,
        memory: str = "1GB",
    ) -> None:
        self._layout = layout
        self._manifests = manifests
        self._compaction = compaction
        self._memory = memory
        self._ranges = ranges(len(manifests), first=compaction.oldest + 1 if compaction else 1)
        self._names = [_name(part) for part in self._ranges]
        if compaction:
            self._names.insert(0, f"compacted-{compaction.number:08d}.parquet")

    def update(self, for_each: ForEach) -> None:
        """Make the files that are missing, and remove those whose entries lie in longer ones.

        Args:
            for_each: Goes over the files of documents.
        """
        there = set(storage.list_names(self._layout.ledger))
        if self._compaction and self._names[0] not in there:
            files = [(f.batch, f.name) for f in self._compaction.files]
            write_batches(self._uri(self._names[0]), self._of_files(files, for_each), ENTRY_SCHEMA)
        for part in self._ranges:
            self._make(part, there, for_each)
        for name in there - set(self._names):
            storage.remove(storage.join(self._layout.ledger, name))

    def tagged(self, records: pa.Table) -> np.ndarray:
        """Return for each of some entries whether it is in the ledger, which ``update`` has brought up to date."""
        found = np.zeros(records.num_rows, bool)
        if not self._names or not records.num_rows:
            return found
        with database(self._layout.uri, memory=self._memory) as connection:
            numbered = records.append_column("number", pa.array(np.arange(records.num_rows)))
            connection.from_arrow(numbered).create("records")
            rows = connection.sql(f"""
                SELECT DISTINCT number FROM read_parquet([{listed(map(self._uri, self._names))}])
                JOIN records USING (doc_key, text)
            """).to_arrow_table()
        found[rows["number"].to_numpy()] = True
        return found

    def _make(self, part: Range, there: set[str], for_each: ForEach) -> None:
        """Make the file of a range, of those of its parts where they are there, or of the batch of a single commit."""
        if _name(part) in there:
            return
        if part[0] == part[1]:
            manifest = self._manifests[part[0] - 1]
            files = [(manifest.batch, name) for name in manifest.names]
            write_batches(self._uri(_name(part)), self._of_files(files, for_each), ENTRY_SCHEMA)
        else:
            parts = list(_parts(part))
            for shorter in parts:
                self._make(shorter, there, for_each)
            uris = [self._uri(_name(shorter)) for shorter in parts]
            with database(self._layout.uri, memory=self._memory) as connection:
                rows = connection.sql(f"FROM read_parquet([{listed(uris)}])")
                write_batches(self._uri(_name(part)), rows.to_arrow_reader(), ENTRY_SCHEMA)
        there.add(_name(part))

    def _of_files(self, files: Sequence[tuple[str, str]], for_each: ForEach) -> Iterator[pa.RecordBatch]:
        """Yield the entries of files, given by batch and name."""
        uris = [storage.join(self._layout.batch(batch).documents, name) for batch, name in files]
        for first in range(0, len(uris), _FILES):
            for table in for_each(_of_file, uris[first : first + _FILES]):
                yield from table.to_batches()

    def _uri(self, name: str) -> str:
        return storage.join(self._layout.ledger, name)


def _name(part: Range) -> str:
    return f"{part[0]:08d}-{part[1]:08d}.parquet"


def _parts(part: Range) -> Iterator[Range]:
    length = (part[1] - part[0] + 1) // _FOLD
    return ((first, first + length - 1) for first in range(part[0], part[1] + 1, length))


def _of_file(uri: str) -> pa.Table:
    table = read_table(uri, ["doc_key", "text_sha256", "status"])
    table = table.filter(pc.is_in(table["status"], pa.array(TAGGED)))
    return entries(table["doc_key"].to_pylist(), table["text_sha256"].to_pylist())
