"""The flat table of the mentions that are kept, derived from a committed batch.

Invariant: each file of documents has one file of mentions with the same name, which depends on nothing but it; so
publishing again gives the same files, and what a crash left out is made good by publishing again.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from llmner import storage
from llmner.documents import SCHEMA_VERSION
from llmner.extraction.selecting import decide
from llmner.mentions import MENTION_STRUCT
from llmner.selection.competition import Rules

_OF_DOCUMENT = ("doc_key", "source", "source_id", "version", "lang", "year")

MENTION_SCHEMA = pa.schema(
    [
        pa.field("mention_id", pa.string(), nullable=False),  # hash of document, span, type and tag set
        pa.field("doc_key", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("year", pa.int32()),
        *MENTION_STRUCT,
        pa.field("concept_id", pa.string()),  # null until linked
    ],
    metadata={"llmner.schema_version": SCHEMA_VERSION},
)


def publish(documents: str, mentions: str, names: list[str], *, rules: Rules | None = None, threads: int = 4) -> None:
    """Write the flat mentions of a batch.

    Args:
        documents: URL of the batch's documents.
        mentions: URL of the folder for its mentions.
        names: Names of the files that the manifest lists.
        rules: Which mentions are kept; by default what the documents say.
        threads: Files at a time; what is in memory is that many files.
    """
    missing = sorted(set(names) - set(storage.list_names(mentions, ".parquet")))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(partial(_publish_file, documents, mentions, rules), missing))


def _publish_file(documents: str, mentions: str, rules: Rules | None, name: str) -> None:
    fs, path = storage.arrow_file_system(storage.join(documents, name))
    table = pq.ParquetFile(path, filesystem=fs).read(columns=[*_OF_DOCUMENT, "mentions"])
    if rules is not None:
        nested = table["mentions"].to_pylist()
        for own in nested:
            decide(own, rules)
        place = table.schema.get_field_index("mentions")
        table = table.set_column(place, table.schema.field(place), pa.array(nested, pa.list_(MENTION_STRUCT)))
    sink = pa.BufferOutputStream()
    pq.write_table(flatten(table), sink, compression="zstd")
    storage.write_whole(storage.join(mentions, name), sink.getvalue().to_pybytes())


def flatten(documents: pa.Table) -> pa.Table:
    """Rows of ``MENTION_SCHEMA``, one a mention that is kept, in the order of the documents.

    ``sentence`` and ``parent`` remain indices into the document's lists.
    """
    nested = documents["mentions"].combine_chunks()
    owner = nested.value_parent_indices() if len(nested) else pa.array([], pa.int64())
    flat = nested.flatten()
    columns = {name: documents[name].take(owner) for name in _OF_DOCUMENT}
    columns |= {f.name: flat.field(i) for i, f in enumerate(MENTION_STRUCT)}
    columns["concept_id"] = pa.nulls(len(flat), pa.string())
    of_mention = [columns[name].to_pylist() for name in ("doc_key", "start", "end", "type", "tag_set")]
    columns["mention_id"] = pa.array([mention_id(*row) for row in zip(*of_mention, strict=True)], pa.string())
    table = pa.table({name: columns[name] for name in MENTION_SCHEMA.names}, schema=MENTION_SCHEMA)
    return table.filter(table["kept"])


def mention_id(doc_key: int, start: int, end: int, type_: str, tag_set: str) -> str:
    """Stable identifier of a mention: 32 hex digits."""
    identity = f"{doc_key}\x00{start}\x00{end}\x00{type_}\x00{tag_set}".encode()
    return hashlib.blake2b(identity, digest_size=16).hexdigest()
