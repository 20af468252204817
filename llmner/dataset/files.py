"""The Parquet files of a data set: written whole, read whole, and gone over many at a time.

Invariant: whatever goes over many files takes a ``ForEach``, so that the same code runs in threads of this process
and in tasks on a cluster.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from llmner import storage

_THREADS = 4  # files at a time: as many are in memory

T = TypeVar("T")
R = TypeVar("R")


class ForEach(Protocol):
    """Calls a function on many items at a time and returns the results in the order of the items.

    Function and items can be pickled; the first exception ends it.
    """

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> list[R]:
        """Call the function on each item."""
        ...


def in_threads(function: Callable[[T], R], items: Sequence[T], /) -> list[R]:
    """Call a function on each item, in threads of this process; see ``ForEach``."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


def read_table(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file, or some of its columns."""
    with storage.access(uri), _open(uri) as file:
        return file.read(columns=None if columns is None else list(columns))


def count_rows(uri: str) -> int:
    """Return the number of rows of a Parquet file."""
    with storage.access(uri), _open(uri) as file:
        return int(file.metadata.num_rows)


def write_table(uri: str, table: pa.Table) -> None:
    """Write a Parquet file; readers see the whole of it or none."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    storage.write_whole(uri, sink.getvalue().to_pybytes())


def write_batches(uri: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write a Parquet file batch by batch; readers see the whole of it or none, and an error leaves nothing."""
    part = f"{uri}.part"
    try:
        with storage.write_stream(part) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    except BaseException:
        storage.remove(part)
        raise
    storage.move(part, uri)


def _open(uri: str) -> pq.ParquetFile:
    fs, path = storage.arrow_file_system(uri)
    return pq.ParquetFile(path, filesystem=fs)
