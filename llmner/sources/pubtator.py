"""PubTator: ``ID|t|title``, ``ID|a|abstract``, then a mention a line, ``ID start end text type`` between tabs.

Invariant: offsets count in title, one character, abstract. Documents stand apart by a blank line or begin with a
title, so a broken one harms none other.
"""

import re
from collections.abc import Iterable, Iterator

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import Draft, rejected
from llmner.sources.format import Format
from llmner.sources.records import Record, read_lines
from llmner.sources.texts import MAX_TEXT, check_length

SOURCE = "pubtator"

_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)")
_TITLE = re.compile(rb"[^|\t\r\n]+\|t\|")
_RELATION = re.compile(r"[A-Za-z_]+")  # stands where a mention has its start


def read_pubtator(chunks: Iterable[bytes], source_file: str, *, max_text: int = MAX_TEXT) -> Iterator[Document]:
    """Read the documents of a PubTator file, with their annotations.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        max_text: Code points above which a document is rejected.

    Yields:
        Documents in order. One that cannot be read is a document with an error.
    """
    for number, lines in enumerate(_blocks(read_lines(chunks, source_file)), 1):
        try:
            yield _document(lines, source_file, max_text)
        except InputError as e:
            yield rejected(SOURCE, source_file, number, e)


def _blocks(lines: Iterable[Record]) -> Iterator[list[Record]]:
    """The lines of each document."""
    block: list[Record] = []
    for line in lines:
        blank = not line.error and not line.data.strip()
        if block and (blank or _TITLE.match(line.data)):
            yield block
            block = []
        if not blank:
            block.append(line)
    if block:
        yield block


def _document(lines: list[Record], file: str, max_text: int) -> Document:
    first, *rest = (line.text(file).removesuffix("\r") for line in lines)
    title = _TEXT.fullmatch(first)
    if title is None or title[2] != "t":
        message = f"{lines[0].place(file)}: {first[:60]!r} begins no document"
        raise MalformedRecordError(message, hint="a document begins with ID|t|title")
    id, text = title[1], title[3]
    if rest and (abstract := _TEXT.fullmatch(rest[0])) and abstract[1] == id:
        text, rest = f"{text} {abstract[3]}", rest[1:]
    check_length(text, max_text=max_text, place=lines[0].place(file))
    draft = Draft(SOURCE, file, id, text, title=title[3])
    for line in rest:
        match line.split("\t"):
            case [of, start, end, given, type, *_] if of == id and start.isdecimal() and end.isdecimal():
                draft.add([(int(start), int(end))], type.strip(), given)
            case [of, name, _, _, *_] if of == id and _RELATION.fullmatch(name):
                pass
            case _:
                draft.report(f"{line[:60]!r} is no mention of it")
    return draft.finished()


FORMAT = Format(
    name=SOURCE,
    title="PubTator",
    suffixes=(".pubtator", ".txt"),
    read=lambda content: read_pubtator(content.chunks, content.url, max_text=content.max_text),
    recognises=lambda head: _TITLE.match(head) is not None,
    keeps="identifier, title, abstract; for convert the mentions",
    drops="concept identifiers, relations",
    example="11|t|Colchicine for gout.",
    corpus=True,
)
