"""PubTator: ``ID|t|title``, ``ID|a|abstract``, then a mention a line, ``ID start end text type`` between tabs.

Invariant: offsets count in title, one character, abstract; several types in a column are as many mentions. A document
begins with a title, with another identifier, or behind a blank line with what has none: a broken one harms none other.
"""

import re
from collections.abc import Iterable, Iterator

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import Draft, rejected
from llmner.sources.format import Format
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.records import Record, read_lines
from llmner.sources.texts import Piece, compose

SOURCE = "pubtator"

_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)")
_TITLE = re.compile(rb"[^|\t\r\n]+\|t\|")
_IDENTIFIER = re.compile(rb"[^|\t\r\n]+(?=[|\t])")


def read_pubtator(chunks: Iterable[bytes], source_file: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Read the documents of a PubTator file, with their annotations.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        limits: See ``Limits``.

    Yields:
        Documents in order. One that cannot be read is a document with an error.
    """
    for number, lines in enumerate(_blocks(read_lines(chunks, source_file, limits=limits)), 1):
        try:
            yield _document(lines, source_file, limits)
        except InputError as e:
            yield rejected(SOURCE, source_file, number, e)


def _blocks(lines: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield the lines of each document: from its title, or where an identifier or a blank line shows that it begins."""
    block: list[Record] = []
    current: re.Match[bytes] | None = None  # identifier
    blank = False  # whether a blank line came before
    for line in lines:
        if not line.error and not line.data.strip():
            blank = True
            continue
        found = _IDENTIFIER.match(line.data)
        other = found[0] != (current and current[0]) if found else blank
        if block and (other or _TITLE.match(line.data)):
            yield block
            block = []
        block.append(line)
        current, blank = found or current, False
    if block:
        yield block


def _document(lines: list[Record], file: str, limits: Limits) -> Document:
    first, *rest = (line.text(file).removesuffix("\r") for line in lines)
    title = _TEXT.fullmatch(first)
    if title is None or title[2] != "t":
        message = f"{lines[0].place(file)}: {first[:60]!r} begins no document"
        raise MalformedRecordError(message, hint="a document begins with ID|t|title")
    id, pieces = title[1], [Piece(title[3], "title")]
    if rest and (abstract := _TEXT.fullmatch(rest[0])) and abstract[1] == id:
        pieces.append(Piece(abstract[3], "abstract"))
        rest = rest[1:]
    place, ids = lines[0].place(file), {"pmid": id} if id.isdecimal() else {}
    draft = Draft(compose(SOURCE, id, file, pieces, place=place, limits=limits, ids=ids))
    shift = 0 if title[3] else 1  # of an empty title only the character behind it is counted
    for line in rest:
        match line.split("\t"):
            case [of, start, end, given, types, *_] if of == id and _is_offset(start) and _is_offset(end):
                for type in types.split(","):
                    draft.add([(int(start) - shift, int(end) - shift)], type.strip(), given)
            case [of, name, _, *_] if of == id and not name.isdecimal():
                pass  # a relation
            case _:
                draft.report(f"{line[:60]!r} is no mention of it")
    return draft.finished()


def _is_offset(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


FORMAT = Format(
    name=SOURCE,
    title="PubTator",
    suffixes=(".pubtator", ".txt"),
    read=lambda content: read_pubtator(content.chunks, content.url, limits=content.limits),
    recognises=lambda head: _TITLE.match(head) is not None,
    keeps="identifier, title, abstract; for convert the mentions",
    drops="concept identifiers, relations",
    example="11|t|Colchicine for gout.",
    corpus=True,
)
