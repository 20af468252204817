"""PubTator: ``ID|t|title``, ``ID|a|abstract``, then a mention a line, ``ID start end text type`` between tabs.

Invariant: offsets count in title, one character, abstract. Documents stand apart by a blank line or begin with a
title, so a broken one harms none other.
"""

import re
from collections.abc import Iterator

from llmner.conversion import AnnotatedDocument, DocumentDraft
from llmner.errors import InputError, MalformedRecordError

_TEXT = re.compile(r"([^|\t]+)\|([ta])\|(.*)")
_RELATION = re.compile(r"[A-Za-z_]+")  # stands where a mention has its start


def read_pubtator(text: str, file: str) -> Iterator[AnnotatedDocument | InputError]:
    """Read the documents of a PubTator file.

    Args:
        text: The file's content.
        file: Its name, for messages.

    Yields:
        Documents in order; an error for one that cannot be read.
    """
    for number, lines in _blocks(text):
        try:
            yield _document(lines, number, file)
        except InputError as e:
            yield e


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of each document, after the number of the first."""
    block: list[str] = []
    number = 0
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        begins = (found := _TEXT.fullmatch(line)) is not None and found[2] == "t"
        if block and (begins or not line.strip()):
            yield number - len(block), block
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield number + 1 - len(block), block


def _document(lines: list[str], number: int, file: str) -> AnnotatedDocument:
    title = _TEXT.fullmatch(lines[0])
    if title is None or title[2] != "t":
        hint = "a document begins with ID|t|title"
        raise MalformedRecordError(f"{file}, line {number}: {lines[0][:60]!r} begins no document", hint=hint)
    id, text, rest = title[1], title[3], lines[1:]
    if rest and (abstract := _TEXT.fullmatch(rest[0])) and abstract[1] == id:
        text, rest = f"{text} {abstract[3]}", rest[1:]
    draft = DocumentDraft(file, id, text)
    for line in rest:
        match line.split("\t"):
            case [of, start, end, given, type, *_] if of == id and start.isdecimal() and end.isdecimal():
                draft.add([(int(start), int(end))], type.strip(), given)
            case [of, name, _, _, *_] if of == id and _RELATION.fullmatch(name):
                pass
            case _:
                draft.problem(f"{line[:60]!r} is no mention of it")
    return draft.finished()
