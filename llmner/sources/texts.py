"""The text of a document: put together from its parts, bounded, each part in its language.

Invariant: the text of a part is what its source gives, untouched; the first title is the beginning of the text.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from llmner.documents import Document, Part
from llmner.errors import DocumentTooLargeError, MalformedRecordError
from llmner.sources.languages import language_of
from llmner.sources.limits import DEFAULT_LIMITS, Limits

# For a data set's fingerprint: raise it when the same file would give other texts or languages.
VERSION = 2


class Piece(NamedTuple):
    """The text of a part before it has a place.

    Attributes:
        text: Its text. A piece without any is no part.
        kind: See ``documents.Part``.
        section: See ``documents.Part``.
        tag: What the source says of its language.
    """

    text: str
    kind: str
    section: str = ""
    tag: str | None = None


def compose(
    source: str,
    source_id: str,
    source_file: str,
    pieces: Iterable[Piece],
    *,
    place: str,
    limits: Limits = DEFAULT_LIMITS,
    separator: str = " ",
    version: int = 1,
    year: int | None = None,
    ids: Mapping[str, str] = MappingProxyType({}),
) -> Document:
    """Put a document together.

    Args:
        source: Name of the format.
        source_id: Identifier in the source.
        source_file: URL of the file.
        pieces: Its parts, in order.
        place: Where the record is, for messages.
        limits: See ``Limits``.
        separator: What stands between two parts.
        version: See ``Document``.
        year: See ``Document``.
        ids: See ``Document``.

    Raises:
        DocumentTooLargeError: The text has too many code points.
        MalformedRecordError: There is half a surrogate pair in it, in an identifier or in a heading.
    """
    pieces = [piece for piece in pieces if piece.text]
    text = separator.join(piece.text for piece in pieces)
    if len(text) > limits.characters:
        message = f"{place}: the text has {len(text):,} characters, more than {limits.characters:,}"
        raise DocumentTooLargeError(message, hint="raise limits.characters, or split it into several documents")
    _check_whole(place, text=text, identifier=source_id, headings=" ".join(piece.section for piece in pieces))
    for scheme, value in ids.items():
        _check_whole(place, **{scheme: value})
    parts: list[Part] = []
    start = 0
    for piece in pieces:
        lang = language_of(piece.text, piece.tag)
        parts.append(Part(start, start + len(piece.text), piece.kind, piece.section, lang))
        start += len(piece.text) + len(separator)
    title = next((piece.text for piece in pieces[:1] if piece.kind == "title"), "")
    lang = language_of(text, pieces[0].tag if pieces else None)
    return Document(source, source_id, source_file, text, version, title, lang, year, parts=tuple(parts), ids=dict(ids))


def _check_whole(place: str, **texts: str) -> None:
    """Make sure that texts can be stored: JSON has escapes for half a surrogate pair, which is no character."""
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as e:
            message = f"{place}: {name}: half a surrogate pair at character {e.start:,}"
            raise MalformedRecordError(message, hint="write it as UTF-8 without escapes") from e
