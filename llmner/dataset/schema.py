"""Columns and statuses of what a data set stores, and their version.

Invariant: a reader of major version N reads every data set of major version N, and refuses all others by name.
"""

import pyarrow as pa

from llmner.documents import SOURCE_SCHEMA
from llmner.errors import DatasetError

SCHEMA_VERSION = "3.0"
# Of a document: it has mentions, or none; it could not be read, or not be tagged; an earlier batch has tagged the same
# text of it, and has its mentions; its source has deleted it.
STATUSES = ("ok", "empty", "rejected", "failed", "unchanged", "withdrawn")
RECORD_BITS = 32  # record = input number << RECORD_BITS | number of the record in the input

SENTENCE_STRUCT = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("part", pa.int32(), nullable=False),  # index into the document's parts
    ]
)

MENTION_STRUCT = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("tag_set", pa.string(), nullable=False),
        pa.field("sentence", pa.int32(), nullable=False),  # index into the document's sentences
        pa.field("parent", pa.int32()),  # index into the document's mentions; null at the top
        pa.field("generator_score", pa.float32(), nullable=False),
        pa.field("selector_score", pa.float32()),  # null where no selector ran
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("match", pa.string(), nullable=False),
    ]
)

# A document as its source gives it, and what extraction found in it.
DOCUMENT_SCHEMA = pa.schema(
    [
        *SOURCE_SCHEMA,
        pa.field("sentences", pa.list_(SENTENCE_STRUCT), nullable=False),
        pa.field("mentions", pa.list_(MENTION_STRUCT), nullable=False),
        pa.field("source_tokens", pa.int32(), nullable=False),  # tokens of the text, once a tag set
        pa.field("fed_tokens", pa.int32(), nullable=False),  # tokens the model was fed to tag it
        pa.field("run_id", pa.string(), nullable=False),  # the run that tagged it; a resumed batch has several
        pa.field("record", pa.int64(), nullable=False),  # place in the batch, see RECORD_BITS
    ],
    metadata={"llmner.schema_version": SCHEMA_VERSION},
)

OF_DOCUMENT = ("doc_key", "source", "source_id", "version", "lang", "year")  # that flat mentions carry, too

# A kept mention.
MENTION_SCHEMA = pa.schema(
    [
        pa.field("mention_id", pa.string(), nullable=False),  # hash of document, span, type and tag set
        *(SOURCE_SCHEMA.field(name) for name in OF_DOCUMENT),
        *MENTION_STRUCT,
        pa.field("part_kind", pa.string(), nullable=False),  # of the part of the document that it stands in
        pa.field("section", pa.string(), nullable=False),  # the headings above that part
        pa.field("concept_id", pa.string()),  # null until linked
    ],
    metadata={"llmner.schema_version": SCHEMA_VERSION},
)


def check_version(version: str, where: str) -> None:
    """Make sure that this software reads what was written with a version of the schema.

    Raises:
        DatasetError: It has another major version.
    """
    major = SCHEMA_VERSION.partition(".")[0]
    if version.partition(".")[0] != major:
        raise DatasetError(
            f"{where}: schema version {version}, this software reads {major}.x",
            hint="use the version of llmner that wrote it",
        )
