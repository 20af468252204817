"""From files that a run has left to a committed batch: recover, count, resolve repeated keys, write the manifest.

Invariant: a file of documents counts when Ray's checkpoint has an entry of the same name, which Ray makes after
the file; every record read is in exactly one such file, or there is no manifest. Of several records with one key
the last in reading order stays, whatever order they were processed in.
"""

import hashlib
import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmner import storage
from llmner.documents import DOCUMENT_SCHEMA
from llmner.errors import CountMismatchError
from llmner.extraction.dataset import File, Input
from llmner.sources import FILE_SOURCE

logger = logging.getLogger(__name__)

STATUSES = ("ok", "empty", "rejected", "failed")
RECORD_BITS = 32  # record = input number << RECORD_BITS | number of the record in the input
_PENDING = ".pending.parquet"
_THREADS = 4


def recover(documents: str, checkpoint: str) -> int:
    """Bring files and checkpoint entries into agreement after a run that was cut off at any moment.

    Files without an entry, and entries without a file, are deleted: their documents are done again.

    Args:
        documents: URL of the folder of documents.
        checkpoint: URL of Ray's checkpoint.

    Returns:
        Rows that are done.
    """
    entries = storage.list_names(checkpoint, ".parquet")
    done = {name.removesuffix(".parquet") for name in entries if not name.endswith(_PENDING)}
    files = {_entry(name): name for name in storage.list_names(documents)}
    for name in entries:
        if name.endswith(_PENDING) or name.removesuffix(".parquet") not in files:
            storage.remove(storage.join(checkpoint, name))
    for entry, name in files.items():
        if entry not in done:
            storage.remove(storage.join(documents, name))
    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(partial(_rows, checkpoint), [f"{entry}.parquet" for entry in done & files.keys()]))


@dataclass
class _Content:
    """What one file holds; arrays have one element a row."""

    file: File
    record: np.ndarray
    doc_key: np.ndarray
    status: np.ndarray  # index into STATUSES
    mentions: int  # that are kept
    broken: dict[int, str]  # error of the input by its number


@dataclass(frozen=True)
class Counted:
    """The files of a batch and what is in them; see ``Manifest`` for ``counts``."""

    files: list[File]
    inputs: list[Input]
    counts: dict[str, int]


def count(documents: str, checkpoint: str, inputs: Sequence[Input], records: int) -> Counted:
    """Count what a finished run wrote, and leave one row a document key.

    Args:
        documents: URL of the folder of documents.
        checkpoint: URL of Ray's checkpoint.
        inputs: The batch's inputs in the order of their numbers.
        records: Records that were read from them.

    Raises:
        CountMismatchError: Records read and rows written are not the same.
    """
    recover(documents, checkpoint)
    names = storage.list_names(documents, ".parquet")
    with ThreadPoolExecutor(_THREADS) as pool:
        contents = list(pool.map(partial(_content, documents), names))
        found = _concatenate([c.record for c in contents])
        distinct = len(np.unique(found))
        if distinct != records:
            raise CountMismatchError(
                f"{records} records were read and {distinct} of them written to {documents}",
                hint="nothing is committed; run the same command again",
            )
        broken = {number: error for c in contents for number, error in c.broken.items()}
        keep = _last_of_each_key(contents)
        contents = list(pool.map(partial(_kept, documents), contents, keep))
    contents = [c for c in contents if c.file.rows]
    status, record = _concatenate([c.status for c in contents]), _concatenate([c.record for c in contents])
    counts = {name: int((status == i).sum()) for i, name in enumerate(STATUSES)}
    counts = {"records": records, "superseded": records - len(record), "documents": len(record), **counts}
    counts["mentions"] = sum(c.mentions for c in contents)
    number = record >> RECORD_BITS
    by_input = [np.bincount(number[status == i], minlength=len(inputs)) for i in range(len(STATUSES))]
    counted = [
        i.model_copy(
            update={"counts": {s: int(by_input[k][n]) for k, s in enumerate(STATUSES)}, "error": broken.get(n)}
        )
        for n, i in enumerate(inputs)
    ]
    return Counted([c.file for c in contents], counted, counts)


def _content(documents: str, name: str) -> _Content:
    content = storage.read_bytes(storage.join(documents, name))
    if content is None:
        raise CountMismatchError(f"{documents}/{name} is gone", hint="run the same command again")
    columns = ["record", "doc_key", "status", "mentions", "source", "error_message"]
    table = pq.read_table(io.BytesIO(content), columns=columns)
    files = table.filter(pc.equal(table["source"], FILE_SOURCE)).select(["record", "error_message"]).to_pylist()
    return _Content(
        File(name=name, rows=table.num_rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
        table["record"].to_numpy(),
        table["doc_key"].to_numpy(),
        pc.index_in(table["status"], pa.array(STATUSES)).to_numpy(),
        pc.sum(pc.struct_field(pc.list_flatten(table["mentions"]), "kept")).as_py() or 0,
        {row["record"] >> RECORD_BITS: row["error_message"] for row in files},
    )


def _last_of_each_key(contents: Sequence[_Content]) -> list[np.ndarray]:
    """For each file which rows stay: of the rows with one key the last in reading order.

    A record that was rejected never takes the place of one that was not.
    """
    key, record, status = (_concatenate([getattr(c, f) for c in contents]) for f in ("doc_key", "record", "status"))
    order = np.lexsort((record, status != STATUSES.index("rejected"), key))
    keep = np.ones(len(key), bool)
    keep[order[:-1][key[order][:-1] == key[order][1:]]] = False
    return np.split(keep, np.cumsum([c.file.rows for c in contents])[:-1])


def _kept(documents: str, content: _Content, keep: np.ndarray) -> _Content:
    """The file without the rows that do not stay, written beside it where that changes it."""
    if keep.all():
        return content
    fs, path = storage.arrow_file_system(storage.join(documents, content.file.name))
    table = pq.ParquetFile(path, filesystem=fs).read().filter(pa.array(keep)).cast(DOCUMENT_SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    name = f"unique-{content.file.name}"
    storage.write_whole(storage.join(documents, name), sink.getvalue().to_pybytes())
    return _content(documents, name)


def _entry(name: str) -> str:
    """Name of the checkpoint entry of a file of documents: Ray adds a part number, ``-0``, to the file's name."""
    return name.removesuffix(".parquet").rpartition("-")[0]


def _rows(checkpoint: str, name: str) -> int:
    fs, path = storage.arrow_file_system(storage.join(checkpoint, name))
    return pq.ParquetFile(path, filesystem=fs).metadata.num_rows


def _concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
