"""The flat table of the mentions that are kept, derived from the documents of a batch.

Invariant: each file of documents has one file of mentions with the same name, which depends on nothing but it; so
publishing again gives the same files.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from llmner import storage
from llmner.dataset.compaction import DataFile
from llmner.dataset.files import ForEach, read_table, write_table
from llmner.dataset.layout import Layout
from llmner.dataset.schema import MENTION_SCHEMA, MENTION_STRUCT, OF_DOCUMENT
from llmner.documents import Row

Decide = Callable[[Sequence[Row]], None]  # writes into the mentions of a document which of them are kept


def publish(
    documents: str, mentions: str, names: Sequence[str], for_each: ForEach, *, decide: Decide | None = None
) -> None:
    """Write the flat mentions of files of documents.

    Args:
        documents: Folder of the documents.
        mentions: Folder for the mentions.
        names: Names of the files.
        for_each: Goes over the files.
        decide: Decides which mentions are kept; None for what the documents say.
    """
    for_each(partial(_publish_file, documents, mentions, decide), names)


def missing(mentions: str, names: Sequence[str]) -> list[str]:
    """Return which of a batch's files have no counterpart in a folder of mentions."""
    return sorted(set(names) - set(storage.list_names(mentions, ".parquet")))


def republish(
    layout: Layout,
    files: Iterable[DataFile],
    threshold: float,
    decide: Decide,
    for_each: ForEach,
    progress: Callable[[int, int], None] = lambda done, all: None,
) -> str:
    """Write the mentions of all committed batches at another threshold, beside those of the data set's own.

    Files that are there already stay, so doing it again adds what was committed since; those of files that were merged
    into others go.

    Args:
        layout: The data set.
        files: Its files.
        threshold: Names the folder.
        decide: Decides by that threshold which mentions are kept.
        for_each: Goes over the files.
        progress: Called with the number of files that are there, and of all.

    Returns:
        URI of the folder.
    """
    folder = layout.republished(threshold)
    names: dict[str, list[str]] = {}
    for file in files:
        names.setdefault(file.batch, []).append(file.name)
    done, total = 0, sum(map(len, names.values()))
    for batch, listed in names.items():
        mentions = layout.mentions_at(threshold, batch)
        publish(layout.batch(batch).documents, mentions, missing(mentions, listed), for_each, decide=decide)
        progress(done := done + len(listed), total)
    for batch in (name.removeprefix("batch=") for name in storage.list_folders(folder)):
        mentions = layout.mentions_at(threshold, batch)
        for name in set(storage.list_names(mentions)) - set(names.get(batch, ())):
            storage.remove(storage.join(mentions, name))
    return folder


def _publish_file(documents: str, mentions: str, decide: Decide | None, name: str) -> None:
    table = read_table(storage.join(documents, name), [*OF_DOCUMENT, "parts", "sentences", "mentions"])
    if decide is not None:
        nested = table["mentions"].to_pylist()
        for of_document in nested:
            decide(of_document)
        place = table.schema.get_field_index("mentions")
        table = table.set_column(place, table.schema.field(place), pa.array(nested, pa.list_(MENTION_STRUCT)))
    write_table(storage.join(mentions, name), flatten(table))


def flatten(documents: pa.Table) -> pa.Table:
    """Return rows of ``MENTION_SCHEMA``, one for each mention that is kept, in the order of the documents.

    ``sentence`` and ``parent`` remain indices into the document's lists.
    """
    nested = documents["mentions"].combine_chunks()
    owner = nested.value_parent_indices() if len(nested) else pa.array([], pa.int64())
    flat = nested.flatten()
    columns = {name: documents[name].take(owner) for name in OF_DOCUMENT}
    columns |= {f.name: flat.field(i) for i, f in enumerate(MENTION_STRUCT)}
    columns |= _place(documents, owner, columns["sentence"])
    columns["concept_id"] = pa.nulls(len(flat), pa.string())
    of_mention = [columns[name].to_pylist() for name in ("doc_key", "start", "end", "type", "tag_set")]
    columns["mention_id"] = pa.array([mention_id(*row) for row in zip(*of_mention, strict=True)], pa.string())
    table = pa.table({name: columns[name] for name in MENTION_SCHEMA.names}, schema=MENTION_SCHEMA)
    return table.filter(table["kept"])


def _place(documents: pa.Table, owner: pa.Array, sentence: pa.Array) -> dict[str, pa.Array]:
    """Return kind and section of the part that each mention stands in, by its document and sentence."""
    sentences, parts = (documents[name].combine_chunks() for name in ("sentences", "parts"))
    of_sentence = pc.add(sentences.offsets.take(owner), sentence)
    part = pc.add(parts.offsets.take(owner), sentences.values.field("part").take(of_sentence))
    return {"part_kind": parts.values.field("kind").take(part), "section": parts.values.field("section").take(part)}


def mention_id(doc_key: int, start: int, end: int, type_: str, tag_set: str) -> str:
    """Return the stable identifier of a mention: 32 hex digits."""
    identity = f"{doc_key}\x00{start}\x00{end}\x00{type_}\x00{tag_set}".encode()
    return hashlib.blake2b(identity, digest_size=16).hexdigest()
