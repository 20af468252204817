"""From the files that a run has left to a committed batch: recover, count, publish, commit.

Invariant: a file of documents counts when Ray's checkpoint has an entry of the same name, which Ray makes after
the file; every record read is in exactly one such file, or nothing is committed. Of several records with one key
the last in reading order stays, whatever order they were processed in.
"""

import hashlib
import io
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmner import storage
from llmner.dataset import manifest as manifests
from llmner.dataset.files import ForEach, count_rows, read_table, write_table
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.manifest import Draft, File, Input, Manifest
from llmner.dataset.publish import missing, publish
from llmner.dataset.schema import DOCUMENT_SCHEMA, RECORD_BITS, STATUSES
from llmner.documents import FILE_SOURCE, NO_TAG_SET, PUBMED
from llmner.errors import CountMismatchError, DatasetError

_PENDING = ".pending.parquet"
_NAMED = 5  # documents that are named where there may be many


def recover(documents: str, checkpoint: str, for_each: ForEach) -> int:
    """Bring checkpoint entries into agreement with the files after a run that was cut off at any moment.

    Entries without a file are deleted: their documents are done again. No file is: one without an entry does not count,
    and goes once the batch is committed, for only a manifest says for certain which files are no one's.

    Args:
        documents: Folder of the documents.
        checkpoint: Folder of Ray's checkpoint.
        for_each: Goes over the files.

    Returns:
        Rows that are done.
    """
    entries = storage.list_names(checkpoint, ".parquet")
    files = {_entry(name) for name in storage.list_names(documents, ".parquet")}
    done = [name for name in entries if not name.endswith(_PENDING) and name.removesuffix(".parquet") in files]
    for name in set(entries) - set(done):
        storage.remove(storage.join(checkpoint, name))
    return sum(for_each(count_rows, [storage.join(checkpoint, name) for name in done]))


@dataclass
class _Content:
    """What one file holds; arrays have one element a row."""

    file: File
    record: np.ndarray
    doc_key: np.ndarray
    status: np.ndarray  # index into STATUSES
    text: np.ndarray  # hash of the text
    revisable: np.ndarray  # whether its source revises documents
    mentions: int  # that are kept
    broken: dict[int, str]  # error of the input by its number
    reasons: Counter[str]  # rows by the class of their error


@dataclass(frozen=True)
class Counted:
    """The files of a batch and what is in them; see ``Draft``."""

    files: list[File]
    inputs: list[Input]
    counts: dict[str, int]
    reasons: dict[str, int]
    clashes: int
    clashing: list[str]

    @property
    def failed(self) -> dict[str, int]:
        """The documents among ``reasons`` that failed or were rejected, and are not only without a tag set."""
        return {name: n for name, n in self.reasons.items() if name != NO_TAG_SET}


def count(documents: str, checkpoint: str, inputs: Sequence[Input], records: int, for_each: ForEach) -> Counted:
    """Count what a finished run wrote, and leave one row for each document key.

    Args:
        documents: Folder of the documents.
        checkpoint: Folder of Ray's checkpoint.
        inputs: The batch's inputs in the order of their numbers.
        records: Records that were read from them.
        for_each: Goes over the files.

    Raises:
        CountMismatchError: Records read and rows written are not the same.
    """
    recover(documents, checkpoint, for_each)
    done = {name.removesuffix(".parquet") for name in storage.list_names(checkpoint, ".parquet")}
    names = [name for name in storage.list_names(documents, ".parquet") if _entry(name) in done]
    contents = for_each(partial(_content, documents), names)
    distinct = len(np.unique(_concatenate([c.record for c in contents])))
    if distinct != records:
        raise CountMismatchError(
            f"{records} records were read and {distinct} of them written to {documents}",
            hint="nothing is committed; run the same command again",
        )
    broken = {number: error for c in contents for number, error in c.broken.items()}
    keep = _last_of_each_key(contents)
    clashes, clashing = _clashes(documents, contents, keep)
    changed = [(c.file.name, k) for c, k in zip(contents, keep, strict=True) if not k.all()]
    rewritten = iter(for_each(partial(_rewrite, documents), changed))
    contents = [c if k.all() else next(rewritten) for c, k in zip(contents, keep, strict=True)]
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
    reasons = sum((c.reasons for c in contents), Counter())
    files = [c.file for c in contents]
    return Counted(files, counted, counts, dict(reasons.most_common()), clashes, clashing)


def commit(layout: Layout, draft: Draft, for_each: ForEach) -> Manifest:
    """Publish and commit a batch; readers of the commit find the flat mentions in their place.

    Raises:
        DatasetError: The batch is committed already.
    """
    batch = layout.batch(draft.batch)
    publish(batch.documents, batch.mentions, draft.names, for_each)
    manifest = manifests.commit(layout, draft)
    settle(batch, manifest, for_each)
    return manifest


def settle(batch: BatchLayout, manifest: Manifest, for_each: ForEach) -> None:
    """Leave of a committed batch what its manifest lists; doing it again changes nothing.

    What others are writing under names of their own, which do not end as ours do, is left alone.
    """
    publish(batch.documents, batch.mentions, missing(batch.mentions, manifest.names), for_each)
    for uri in _leftovers(batch, manifest):
        storage.remove(uri)
    storage.remove(batch.checkpoints)


def is_settled(batch: BatchLayout, manifest: Manifest) -> bool:
    """Return whether ``settle`` has nothing to do."""
    unfinished = missing(batch.mentions, manifest.names) or storage.list_folders(batch.checkpoints)
    return not unfinished and not _leftovers(batch, manifest)


def check_files(batch: BatchLayout, manifest: Manifest) -> None:
    """Make sure that the files that a manifest lists are there, with their sizes.

    Raises:
        DatasetError: Some are missing or are others.
    """
    sizes = storage.list_sizes(batch.documents)
    if damaged := [f.name for f in manifest.files if sizes.get(f.name) != f.bytes]:
        raise DatasetError(
            f"batch {batch.name} is committed, but {len(damaged)} of its {len(manifest.files)} files are missing "
            f"or have another size, the first: {batch.documents}/{damaged[0]}",
            hint="restore them, or extract into a new --output",
        )


def _leftovers(batch: BatchLayout, manifest: Manifest) -> list[str]:
    """Return the files of documents and mentions that a committed batch does not list."""
    listed = set(manifest.names)
    return [
        storage.join(folder, name)
        for folder in (batch.documents, batch.mentions)
        for name in storage.list_names(folder, ".parquet")
        if name not in listed
    ]


def _content(documents: str, name: str) -> _Content:
    content = storage.read_bytes(storage.join(documents, name))
    if content is None:
        raise CountMismatchError(f"{documents}/{name} is gone", hint="run the same command again")
    columns = ["record", "doc_key", "status", "text_sha256", "mentions", "source", "error_class", "error_message"]
    table = pq.read_table(io.BytesIO(content), columns=columns)
    files = table.filter(pc.equal(table["source"], FILE_SOURCE)).select(["record", "error_message"]).to_pylist()
    return _Content(
        File(name=name, rows=table.num_rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
        table["record"].to_numpy(),
        table["doc_key"].to_numpy(),
        pc.index_in(table["status"], pa.array(STATUSES)).to_numpy(),
        np.array([int(digest[:15], 16) for digest in table["text_sha256"].to_pylist()], np.int64),
        pc.equal(table["source"], PUBMED).to_numpy(),
        pc.sum(pc.struct_field(pc.list_flatten(table["mentions"]), "kept")).as_py() or 0,
        {row["record"] >> RECORD_BITS: row["error_message"] for row in files},
        Counter(table["error_class"].drop_null().to_pylist()),
    )


def _last_of_each_key(contents: Sequence[_Content]) -> list[np.ndarray]:
    """Return for each file which rows stay: of the rows with one key the last in reading order.

    A record that was rejected never takes the place of one that was not.
    """
    key, record, status = (_concatenate([getattr(c, f) for c in contents]) for f in ("doc_key", "record", "status"))
    order = np.lexsort((record, status != STATUSES.index("rejected"), key))
    keep = np.ones(len(key), bool)
    keep[order[:-1][key[order][:-1] == key[order][1:]]] = False
    return np.split(keep, np.cumsum([c.file.rows for c in contents]))[: len(contents)]


def _clashes(documents: str, contents: Sequence[_Content], keep: Sequence[np.ndarray]) -> tuple[int, list[str]]:
    """Count the rows that go although their text is another one than that of the row with their key that stays.

    A source that revises its documents means that; of other sources it may be two documents with one identifier.

    Returns:
        How many they are, and the identifiers of the first ones with their files.
    """
    key, text = (_concatenate([getattr(c, f) for c in contents]) for f in ("doc_key", "text"))
    stays = _concatenate(keep).astype(bool)
    order = np.argsort(key[stays])
    count = 0
    named: list[str] = []
    for content, kept in zip(contents, keep, strict=True):
        gone = ~kept & ~content.revisable & (content.status != STATUSES.index("rejected"))
        places = np.flatnonzero(gone)
        if not len(places):
            continue
        same = order[np.searchsorted(key[stays][order], content.doc_key[places])]
        places = places[text[stays][same] != content.text[places]]
        count += len(places)
        if len(places) and len(named) < _NAMED:
            rows = read_table(storage.join(documents, content.file.name), ["source_id", "source_file"]).take(places)
            named += [f"{row['source_id']} of {row['source_file']}" for row in rows.slice(0, _NAMED).to_pylist()]
    return count, named[:_NAMED]


def _rewrite(documents: str, name_and_rows: tuple[str, np.ndarray]) -> _Content:
    """Write the rows that stay of a file into another one beside it, whose name no other run can choose."""
    name, rows = name_and_rows
    table = read_table(storage.join(documents, name)).filter(pa.array(rows)).cast(DOCUMENT_SCHEMA)
    unique = f"unique-{uuid.uuid4().hex}-{name}"
    write_table(storage.join(documents, unique), table)
    return _content(documents, unique)


def _entry(name: str) -> str:
    """Return the name of a file's checkpoint entry: Ray adds a part number, ``-0``, to the file's name."""
    return name.removesuffix(".parquet").rpartition("-")[0]


def _concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
