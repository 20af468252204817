"""Compacting a data set: small files become large ones, and what no kept snapshot needs goes.

Rows that are needed are those that count at the oldest kept snapshot, and those whose texts later rows refer to as
unchanged. Files in which few rows are needed, or that are small, are written anew together; the others stay.

Invariant: the new files count once the record of the compaction is there, which exactly one run creates. What it takes
the place of is removed by the compaction after it, so whoever has opened the data set before can read on until then.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import pyarrow as pa

from llmner import storage
from llmner.dataset.compaction import Compaction, DataFile, merged_batches, merged_files, read_compaction
from llmner.dataset.files import count_rows, in_threads, write_batches
from llmner.dataset.fingerprint import describe
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.links import Links
from llmner.dataset.lock import BatchLock
from llmner.dataset.manifest import read_manifests
from llmner.dataset.publish import publish
from llmner.dataset.schema import DOCUMENT_SCHEMA, SCHEMA_VERSION
from llmner.dataset.view import View, ViewFile, attach_rows, database, open_view, select_documents
from llmner.errors import DatasetError

if TYPE_CHECKING:
    import duckdb

TARGET = 20_000  # documents of a merged file; one with less than half of it is small
_LIVELY = 0.9  # of the rows of a file that stays are needed
_BATCH = 1000  # rows that are written at a time
_MERGED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("commit", pa.int32(), nullable=False))


@dataclass(frozen=True)
class Compacted:
    """What came of it.

    Attributes:
        oldest: The oldest snapshot that is kept.
        read: Files that others have taken the place of.
        written: Those others.
        dropped: Rows that no kept snapshot needs and that were in the files read.
        removed: Files that an earlier compaction had taken the place of, and that are gone now.
    """

    oldest: int
    read: int
    written: int
    dropped: int
    removed: int


def compact(uri: str, *, keep: int, memory: str = "4GB") -> Compacted:
    """Compact a data set; no nightly run can go on meanwhile.

    Args:
        uri: The data set.
        keep: So many of the newest snapshots can still be opened, at least.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: There is no data set, a part of it is damaged, or this run has lost its lock.
        BatchLockedError: A nightly run or another compaction is at work.
    """
    layout = Layout.at(uri)
    describe(layout)
    with BatchLock(layout.nightly_locks) as lock:
        before = read_compaction(layout)
        removed = _remove_replaced(layout, before) if before else 0
        newest = open_view(uri)
        oldest = max(newest.commit - keep + 1, newest.oldest)
        if newest.commit == 0:
            return Compacted(newest.oldest, 0, 0, 0, removed)
        base = open_view(uri, oldest)
        number = before.number + 1 if before else 1
        with database(uri, memory=memory) as connection:
            needed = _find_needed(connection, base, newest)
            merging = [n for n, file in enumerate(base.files) if _is_poor(file, needed.get(n, 0))]
            layers = _make_layers(connection, merging)
            dropped = sum(base.files[n].rows for n in merging) - sum(layers)
            if not dropped and len(merging) <= sum(-(-rows // TARGET) for rows in layers):  # no fewer would come of it
                return Compacted(newest.oldest, 0, 0, 0, removed)
            batch = merged_files(layout, number)
            written = list(_merge(connection, base, merging, len(layers), batch))
        publish(batch.documents, batch.mentions, [f.name for f in written], in_threads)
        merged = {base.files[n] for n in merging}
        staying = (f for f in base.files if f not in merged)
        files = [*(DataFile(batch=f.batch, name=f.name, rows=f.rows, commit=f.commit) for f in staying), *written]
        record = Compaction(schema_version=SCHEMA_VERSION, number=number, oldest=oldest, files=files)
        content = record.model_dump_json(indent=1).encode()
        if not lock.held() or not storage.write_new(layout.compaction(number), content):
            raise DatasetError(f"{uri}: another run took the lock of this compaction", hint="run it again")
    return Compacted(oldest, len(merging), len(written), dropped, removed)


def _find_needed(connection: "duckdb.DuckDBPyConnection", base: View, newest: View) -> dict[int, int]:
    """Make the table ``needed`` of rows of the base, by ``doc_key`` and ``file``; return how many each file has.

    Rows that failed or were rejected stay, too: they say why.
    """
    attach_rows(connection, base, "base")
    attach_rows(connection, newest, "newest")
    connection.execute(f"""
        CREATE TABLE needed AS WITH last AS (FROM base.last), unchanged AS (
            SELECT doc_key, text_sha256 FROM last WHERE status = 'unchanged'
            UNION SELECT doc_key, text_sha256 FROM newest.rows WHERE status = 'unchanged' AND commit > {base.commit}
        ), found AS (
            SELECT doc_key, file FROM last
            UNION SELECT doc_key, arg_min(file, commit) FROM base.rows SEMI JOIN unchanged USING (doc_key, text_sha256)
            WHERE status IN ('ok', 'empty') GROUP BY doc_key, text_sha256
            UNION SELECT doc_key, file FROM base.all_documents WHERE status IN ('failed', 'rejected')
        )
        FROM found
    """)
    return dict(connection.sql("SELECT file, count(*) FROM needed GROUP BY file").fetchall())


def _is_poor(file: ViewFile, needed: int) -> bool:
    """Return whether a file is better written anew together with others."""
    return needed < TARGET / 2 or needed < _LIVELY * file.rows


def _make_layers(connection: "duckdb.DuckDBPyConnection", merging: Sequence[int]) -> list[int]:
    """Make the table ``merging`` of the needed rows of some files in layers, each of which has a doc_key once.

    Returns:
        The rows of each layer.
    """
    numbers = ", ".join(map(str, merging))
    connection.execute(f"""
        CREATE TABLE merging AS SELECT *, row_number() OVER (PARTITION BY doc_key ORDER BY file) AS layer
        FROM needed WHERE file IN ({numbers or "NULL"})
    """)
    rows = connection.sql("SELECT layer, count(*) FROM merging GROUP BY layer ORDER BY layer").fetchall()
    return [number for _, number in rows]


def _merge(
    connection: "duckdb.DuckDBPyConnection", base: View, merging: Sequence[int], layers: int, to: BatchLayout
) -> Iterator[DataFile]:
    """Write the needed rows of some files into new ones, each layer into its own; yield these."""
    query = select_documents("base", [base.files[n] for n in merging])
    columns = ", ".join(f'"{name}"' for name in _MERGED_SCHEMA.names)
    for layer in range(1, layers + 1):
        own = f"FROM merging WHERE layer = {layer}"
        rows = connection.sql(f"SELECT {columns} FROM ({query}) SEMI JOIN ({own}) USING (doc_key, file)")
        for _, batches in groupby(_by_file(rows.to_arrow_reader(_BATCH)), itemgetter(0)):
            name = f"{uuid.uuid4().hex}.parquet"
            uri = storage.join(to.documents, name)
            write_batches(uri, (batch for _, batch in batches), _MERGED_SCHEMA)
            yield DataFile(batch=to.name, name=name, rows=count_rows(uri), commit=None)


def _by_file(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield batches with the number of the file that each goes into."""
    rows = 0
    for batch in batches:
        yield rows // TARGET, batch
        rows += batch.num_rows


def _remove_replaced(layout: Layout, compaction: Compaction) -> int:
    """Remove what a compaction has taken the place of, and what one has left that was cut off; return how many files.

    Documents go last, so that whatever cuts this off, the next time finds the rest.
    """
    listed: dict[str, set[str]] = {}
    for file in compaction.files:
        listed.setdefault(file.batch, set()).add(file.name)
    compacted = {m.batch for m in read_manifests(layout) if m.commit <= compaction.oldest}
    batches = [b for b in storage.list_folders(layout.batches) if b in compacted] + merged_batches(layout)
    links = [Links(layout.uri, digest) for digest in storage.list_folders(layout.links)]

    def clean(name: str) -> int:
        batch, stay = layout.batch(name), listed.get(name, set())
        for folder in (*(made.folder(name) for made in links), batch.mentions):
            _remove_others(folder, stay)
        return _remove_others(batch.documents, stay)

    removed = sum(in_threads(clean, batches))
    for name in storage.list_names(layout.compactions):
        if storage.join(layout.compactions, name) != layout.compaction(compaction.number):
            storage.remove(storage.join(layout.compactions, name))
    return removed


def _remove_others(folder: str, names: set[str]) -> int:
    """Remove the files of a folder that are not named, and the folder where none stays; return how many."""
    others = [name for name in storage.list_names(folder) if name not in names]
    for name in others:
        storage.remove(storage.join(folder, name))
    if others and not names:
        storage.remove(folder)
    return len(others)
