"""A lexicon: names of concepts, one a row, in one Parquet file with the forms under which they are looked up.

Invariant: every row has a CURIE, a name and a concept type; the file says with which version of the forms it was
made, and one of another version is refused.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from llmner import storage
from llmner.concepts import is_curie, type_of_curie
from llmner.dataset.files import write_batches
from llmner.errors import ConfigError, InputError, InputNotFoundError
from llmner.linking.names import FORMS_VERSION, forms

Kind = Literal["preferred", "synonym", "related", "former"]
KINDS: tuple[Kind, ...] = ("preferred", "synonym", "related", "former")  # the surest first

LEXICON_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("replaced_by", pa.string()),  # identifier that took the place of a retired one
        pa.field("lower", pa.string(), nullable=False),
        pa.field("punctuation", pa.string(), nullable=False),
        pa.field("plural", pa.string(), nullable=False),
    ],
    metadata={"llmner.lexicon_forms": FORMS_VERSION},
)

_ROWS = 50_000
_HASHED = 1 << 20  # bytes at a time


@dataclass(frozen=True, slots=True)
class Name:
    """A name of a concept, as a reader finds it.

    Attributes:
        id: CURIE.
        type: Concept type; None where it follows from the prefix or from what the user says.
        source: Vocabulary.
        version: Version of it; empty where the file does not say.
        replaced_by: CURIE that took the place of this one.
    """

    id: str
    name: str
    kind: Kind
    source: str
    type: str | None = None
    version: str = ""
    replaced_by: str | None = None


@dataclass(frozen=True)
class Lexicon:
    """A lexicon file and the digest of its content."""

    path: str
    digest: str


def write_lexicon(
    names: Iterable[Name], path: str, *, type: str | None = None, version: str | None = None
) -> Counter[str]:
    """Write a lexicon.

    Args:
        names: Names in the order of the file; memory holds a part of them at a time.
        path: File to write.
        type: Concept type of names whose reader does not know it.
        version: Version of the vocabulary where its files do not say.

    Returns:
        Names by concept type.

    Raises:
        InputError: An identifier that is no CURIE, an empty name, or no names at all.
        ConfigError: A name whose concept type nobody knows.
    """
    counts: Counter[str] = Counter()

    def batches() -> Iterator[pa.RecordBatch]:
        stream = iter(names)
        while rows := [_row(name, type, version) for name in islice(stream, _ROWS)]:
            counts.update(str(row["type"]) for row in rows)
            yield pa.RecordBatch.from_pylist(rows, schema=LEXICON_SCHEMA)
        if not counts:
            raise InputError(f"{path}: no names were found in the files", hint="check that --from names their format")

    write_batches(path, batches(), LEXICON_SCHEMA)
    return counts


def _row(name: Name, type: str | None, version: str | None) -> dict[str, str | None]:
    text = " ".join(name.name.split())
    if not is_curie(name.id) or not text:
        raise InputError(f"{name.source}: {name.id!r} with the name {text!r}: not a CURIE with a name")
    concept_type = name.type or type or type_of_curie(name.id)
    if concept_type is None:
        raise ConfigError(f"{name.source}: {name.id}: its concept type is not known", hint="say it with --type")
    return {
        "id": name.id,
        "name": text,
        "kind": name.kind,
        "type": concept_type,
        "source": name.source,
        "version": name.version or version or "",
        "replaced_by": name.replaced_by,
        **forms(text)._asdict(),
    }


def open_lexicon(path: str) -> Lexicon:
    """Check that a file is a lexicon of this version, and digest it.

    Raises:
        InputNotFoundError: No such file.
        InputError: It is no lexicon, or one with other forms.
    """
    file_system, inner = storage.file_system(path)
    try:
        with file_system.open(inner, "rb") as stream:
            metadata = pq.read_schema(stream).metadata or {}
            stream.seek(0)
            digest = hashlib.sha256()
            while content := stream.read(_HASHED):
                digest.update(content)
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file", hint="make it with `llmner lexicon build`") from None
    except pa.ArrowInvalid as e:
        raise InputError(f"{path}: not a lexicon: {e}", hint="make it with `llmner lexicon build`") from e
    found = metadata.get(b"llmner.lexicon_forms")
    if found != FORMS_VERSION.encode():
        raise InputError(f"{path}: not a lexicon of this version", hint="make it again with `llmner lexicon build`")
    return Lexicon(storage.absolute_uri(path), digest.hexdigest())
