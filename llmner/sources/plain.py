"""Plain text: a file is a document, named by the file.

Invariant: the text is the file's, its line ends as they are; only a byte order mark is no part of it.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from llmner.documents import Document
from llmner.errors import InputError
from llmner.sources.format import Content, Format, by_name_only
from llmner.sources.texts import Piece, compose

SOURCE = "text"


def read_text(content: Content) -> Iterator[Document]:
    """Read a file as one document.

    Raises:
        InputError: It is neither UTF-8 nor GB18030, or not text.
    """
    text = content.text()
    if "\0" in text[:1000]:
        raise InputError(f"{content.url}: not a text", hint="give its format by --format")
    identifier = PurePosixPath(content.url).name
    yield compose(SOURCE, identifier, content.url, [Piece(text, "text")], place=content.url, limits=content.limits)


FORMAT = Format(
    name=SOURCE,
    title="Plain text",
    suffixes=(".txt",),
    read=read_text,
    recognises=by_name_only,
    keeps="the text, under the name of the file",
    drops="nothing",
    example="Gout hurts.",
)
