"""Records of tagged fields, as databases and reference managers export them: one reader, several dialects.

Key idea: a file of such a dialect is lines; a line with a tag begins a field, any other goes on with the last one, and
the tag with which the file begins also begins every further record.

Invariant: the text of a field is as it stands, line ends inside it included. A record has its title and abstract, and
those in the other language behind them, each a part in its language; without an abstract it is its title.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import rejected
from llmner.sources.encodings import encoding_of
from llmner.sources.format import Content, peek
from llmner.sources.records import Record, read_lines
from llmner.sources.texts import Piece, compose

_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_DOI = re.compile(r"10\.\d{4,9}/[^\s;\]]+")
_PARTS = {"title": "title", "abstract": "abstract", "other title": "title", "other abstract": "abstract"}
_LONGEST_TAG = 80  # bytes at the beginning of a line that show whether it begins a field
_LONG = 100_000  # lines of one record; a file without further records would be held as a whole

_Fields = dict[str, list[str]]  # values by our field; a value may have several lines


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an export is written.

    Attributes:
        name: Name of its format.
        line: A line that begins a field: ``tag`` and ``value``.
        fields: Our field for each tag that is read: ``title``, ``abstract``, ``other title``, ``other abstract``,
            ``year``, ``doi``, ``pmid``, ``pmcid``, ``lang``. Of several tags of one field the first in this order
            counts.
        wrapped: Whether a field is wrapped, so that its lines are joined by blanks.
    """

    name: str
    line: re.Pattern[str]
    fields: Mapping[str, str]
    wrapped: bool = False


def read_tagged(content: Content, dialect: Dialect) -> Iterator[Document]:
    """Read the documents of an export.

    Yields:
        Documents in order. A record that cannot be read is a document with an error.

    Raises:
        InputError: There is no record in it.
    """
    head, chunks = peek(content.chunks)
    encoding = encoding_of(head)
    most = content.limits.record_bytes
    number = 0
    for lines in _records(read_lines(chunks, content.url, limits=content.limits), dialect, encoding, most):
        number += 1
        place = Record(number, lines[0].offset, b"").place(content.url)
        try:
            yield _document(_fields(lines, dialect, encoding, place, most), dialect, content, place)
        except InputError as e:
            yield rejected(dialect.name, content.url, number, e)
    if not number:
        raise InputError(f"{content.url}: there is no record in it", hint="is it of this format?")


def _records(lines: Iterable[Record], dialect: Dialect, encoding: str, most: int) -> Iterator[list[Record]]:
    """Yield the lines of each record, of one that has too many or too many bytes only the first."""
    first, mark = "", b""  # the tag that begins a record, as text and as it stands in the file
    record: list[Record] = []
    size = 0
    for line in lines:
        if mark in (head := line.data[:_LONGEST_TAG]):
            found = dialect.line.match(head.decode(encoding, "replace").rstrip("\r"))
            if found and found["tag"] == (first or found["tag"]):
                if record:
                    yield record
                first, record, size = found["tag"], [], 0
                mark = first.encode(encoding)
        if first and size <= most and len(record) <= _LONG:
            record.append(line)
            size += len(line.data)
    if record:
        yield record


def _fields(lines: list[Record], dialect: Dialect, encoding: str, place: str, most: int) -> _Fields:
    """Return the values of a record by those tags that are read."""
    if sum(len(line.data) for line in lines) > most or len(lines) > _LONG:
        message = f"{place}: no other record begins for {len(lines):,} lines"
        raise MalformedRecordError(message, hint="mend the file, or raise limits.record_bytes")
    found: list[tuple[str, list[str]]] = []  # each field with its lines
    for line in lines:
        if line.error:
            raise line.error
        try:
            text = line.data.decode(encoding).rstrip("\r")
        except UnicodeDecodeError as e:
            raise MalformedRecordError(f"{place}: not {encoding} at byte {line.offset + e.start:,}") from e
        if begun := dialect.line.match(text):
            found.append((begun["tag"], [begun["value"] or ""]))
        elif not found:  # its beginning looked like a field
            raise MalformedRecordError(f"{place}: {text[:60]!r} begins no field")
        else:
            found[-1][1].append(text)
    values: _Fields = {}
    for tag, texts in found:
        if tag in dialect.fields:
            values.setdefault(tag, []).append(_joined(texts, dialect))
    return values


def _joined(lines: list[str], dialect: Dialect) -> str:
    return (" ".join(line.strip() for line in lines) if dialect.wrapped else "\n".join(lines)).strip()


def _document(values: _Fields, dialect: Dialect, content: Content, place: str) -> Document:
    fields: dict[str, str] = {}
    for tag, field in dialect.fields.items():
        for value in values.get(tag, ()):
            if value and field not in fields and (field != "doi" or _DOI.search(value)):
                fields[field] = value
    pieces = [Piece(fields[f], kind, tag=fields.get("lang")) for f, kind in _PARTS.items() if f in fields]
    ids: dict[str, str] = {scheme: fields[scheme] for scheme in ("pmid", "pmcid") if scheme in fields}
    if doi := _DOI.search(fields.get("doi", "")):
        ids["doi"] = doi[0].rstrip(".")
    year = _YEAR.search(fields.get("year", ""))
    return compose(
        dialect.name,
        ids.get("pmid") or ids.get("doi") or _digest(pieces),
        content.url,
        pieces,
        separator="\n",
        place=place,
        limits=content.limits,
        year=int(year[0]) if year else None,
        ids=ids,
    )


def _digest(pieces: list[Piece]) -> str:
    """Return what a record without an identifier is known by."""
    return hashlib.sha256("\n".join(piece.text for piece in pieces).encode()).hexdigest()[:16]
