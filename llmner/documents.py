"""What a document is: one canonical text, an identity, and where it came from.

Invariant: ``text`` is the one string that all offsets refer to, in code points. ``key`` and ``text_sha256`` follow from
the identity and the text alone, so the same input gives the same row on every machine. Every record of a source becomes
a row: a record that cannot be read is a document with an error, never a gap.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from llmner.errors import InputError, LlmnerError
from llmner.mentions import Mention, Span

PUBMED = "pubmed"  # source whose documents come again when they are revised; of a batch the last one counts
FILE_SOURCE = "file"  # source of the document that stands for a file, or for the rest of one

NO_TAG_SET = "NoTagSet"  # error class of an empty document in a language that no tag set is for

Row = dict[str, Any]  # a document, or a mention in it, by the names of its columns

PART_STRUCT = pa.struct(
    [
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("section", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
    ]
)

# What a source yields, one row a document.
SOURCE_SCHEMA = pa.schema(
    [
        pa.field("doc_key", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("version", pa.int32(), nullable=False),
        pa.field("source_file", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("year", pa.int32()),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_sha256", pa.string(), nullable=False),
        pa.field("parts", pa.list_(PART_STRUCT), nullable=False),
        pa.field("ids", pa.map_(pa.string(), pa.string()), nullable=False),  # pmid, pmcid, doi... of the same work
        pa.field("status", pa.string(), nullable=False),  # read | rejected | withdrawn; later see dataset.schema
        pa.field("error_class", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("error_stage", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document's text: its title, a section of its abstract, a caption. No sentence goes beyond its ends.

    Attributes:
        start: First code point.
        end: One past the last.
        kind: What it is: ``title``, ``abstract``, ``methods``, ``caption``..., see ``sources.sections``.
        section: The headings above it, outermost first, `` > `` between them.
        lang: Its language.
    """

    start: int
    end: int
    kind: str
    section: str
    lang: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """What the annotators of a corpus found in a document.

    Attributes:
        mentions: Gold mentions, sorted, each once.
        sentences: Spans of the sentences where the format gives them; empty where they are to be found.
        problems: What was wrong with the mentions and sentences that were left out.
        discontinuous: How many mentions were left out because they consist of several spans.
    """

    mentions: tuple[Mention, ...]
    sentences: tuple[Span, ...] = ()
    problems: tuple[InputError, ...] = ()
    discontinuous: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a source reads it.

    Attributes:
        source: The kind of source: ``pubmed``, ``jsonl``, ``parquet``...
        source_id: Identifier in that source, e.g. the PMID.
        version: The source's version of it, 1 where it has none.
        source_file: URL of the file it was read from.
        text: The canonical text. For PubMed: title, one space, abstract.
        title: The part of the text that is the title; empty where there is none.
        lang: Language of most of the text.
        year: Year of publication, where known.
        parts: Parts of the text, in order; only white space lies between them. By default the text is one.
        ids: Identifiers of the work elsewhere, by scheme: ``pmid``, ``pmcid``, ``doi``...
        annotations: Gold annotations, from the formats that hold them.
        error: Why the record was rejected; None for a document that can be processed.
        withdrawn: Whether the source says that there is no such document any more; then it has no text.
    """

    source: str
    source_id: str
    source_file: str
    text: str
    version: int = 1
    title: str = ""
    lang: str = "en"
    year: int | None = None
    parts: tuple[Part, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    annotations: Annotations | None = None
    error: LlmnerError | None = None
    withdrawn: bool = False

    def __post_init__(self) -> None:
        if self.text and not self.parts:
            object.__setattr__(self, "parts", (Part(0, len(self.text), "text", "", self.lang),))

    @property
    def key(self) -> int:
        """Signed 64-bit hash of source, identifier and version."""
        return document_key(self.source, self.source_id, self.version)


def document_key(source: str, source_id: str, version: int) -> int:
    """Signed 64-bit key of a document: the first eight bytes of a blake2b hash of its identity."""
    identity = f"{source}\x00{source_id}\x00{version}".encode()
    return int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big", signed=True)


def document_row(document: Document) -> Row:
    """Return a document as read, as a row of ``SOURCE_SCHEMA``."""
    error = document.error
    return {
        "doc_key": document.key,
        "source": document.source,
        "source_id": document.source_id,
        "version": document.version,
        "source_file": document.source_file,
        "lang": document.lang,
        "year": document.year,
        "title": document.title,
        "text": document.text,
        "text_sha256": hashlib.sha256(document.text.encode()).hexdigest(),
        "parts": [asdict(part) for part in document.parts],
        "ids": list(document.ids.items()),
        "status": "rejected" if error else "withdrawn" if document.withdrawn else "read",
        "error_class": type(error).__name__ if error else None,
        "error_message": str(error) if error else None,
        "error_stage": "read" if error else None,
    }


def documents_table(documents: Sequence[Document]) -> pa.Table:
    """Rows of ``SOURCE_SCHEMA`` for documents as read."""
    return pa.Table.from_pylist([document_row(d) for d in documents], schema=SOURCE_SCHEMA)
