"""brat standoff: mentions in an ``.ann`` file, ``T1 type start end text`` between tabs, the text in a file beside it.

Invariant: only text-bound annotations (``T``) are read; several spans in one (``0 4;9 12``) are one mention only when
white space alone lies between.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

from llmner.documents import Document
from llmner.errors import InputError
from llmner.sources.annotated import Draft
from llmner.sources.encodings import as_utf8
from llmner.sources.format import Content, Format, by_name_only
from llmner.sources.opening import read_chunks
from llmner.sources.texts import Piece, compose

SOURCE = "brat"

_MENTION = re.compile(r"T\S*\t(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)\t(.*)")


def read_brat(annotations: str, file: str, text: str) -> Document:
    """Read an annotated text.

    Tools count a line end of two characters as two, or as one: the way in which more mentions fit is taken.

    Args:
        annotations: The content of the ``.ann`` file.
        file: Its name; the document is called so, too.
        text: The text beside it, its line ends as they are.
    """
    as_it_is = _read_with(annotations, file, text)
    if "\r\n" not in text or not as_it_is.annotations or not as_it_is.annotations.problems:
        return as_it_is
    as_one = _read_with(annotations, file, text.replace("\r\n", "\n"))
    return min((as_it_is, as_one), key=lambda d: len(d.annotations.problems) if d.annotations else 0)


def _read_with(annotations: str, file: str, text: str) -> Document:
    id = PurePath(file).stem
    draft = Draft(compose(SOURCE, id, file, [Piece(text, "text")], place=file))
    for line in annotations.split("\n"):
        line = line.removesuffix("\r")
        if found := _MENTION.fullmatch(line):
            type, spans, given = found.groups()
            edges = [span.split() for span in spans.split(";")]
            draft.add([(int(start), int(end)) for start, end in edges], type, given)
        elif line.startswith("T"):
            draft.report(f"{line[:60]!r} is no mention of it")
    return draft.finished()


def _read(content: Content) -> Iterator[Document]:
    if not content.url.endswith(".ann"):
        raise InputError(f"{content.url}: not an .ann file", hint="give .ann files, each with its .txt beside it")
    beside = content.file.removesuffix(".ann") + ".txt"
    yield read_brat(content.text(), content.url, Content(beside, as_utf8(read_chunks(beside))).text())


FORMAT = Format(
    name=SOURCE,
    title="brat standoff",
    suffixes=(".ann",),
    read=_read,
    recognises=by_name_only,
    keeps="the text in the file beside, text-bound annotations",
    drops="relations, events, attributes, notes",
    example="T1\tDisease 0 4\tGout",
    corpus=True,
    documents=False,
    compressed=False,
)
