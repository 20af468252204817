"""A document of an annotated corpus while its mentions are read and checked.

Invariant: a span whose text is not the text that the format gives for the mention never becomes a mention: it is left
out and reported, and the document stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from llmner.documents import Annotations, Document
from llmner.errors import InputError, MalformedRecordError
from llmner.mentions import Mention, Span
from llmner.sources.texts import language_of

_SHOWN = 60  # code points of a text in a message


class Draft:
    """A document whose mentions are being read.

    Args:
        source: Name of the format.
        file: Where the file is.
        id: Identifier of the document in its corpus.
        text: Its text.
        title: The part of the text that is the title.

    Raises:
        MalformedRecordError: The text holds half a surrogate pair.
    """

    def __init__(self, source: str, file: str, id: str, text: str, *, title: str = "") -> None:
        self._document = Document(source, id, file, text, title=title, lang=language_of(text))
        self._mentions: set[Mention] = set()
        self._problems: list[InputError] = []
        self._discontinuous = 0
        self._place = f"{file}: document {id}"
        try:
            text.encode()
        except UnicodeEncodeError as e:
            raise MalformedRecordError(f"{self._place}: half a character at {e.start:,}") from e

    def add(self, fragments: Sequence[Span], type: str, given: str) -> None:
        """Add a mention if its spans hold the text that the format gives for it.

        Args:
            fragments: Its spans. Several are one when only white space lies between.
            type: Its type.
            given: Its text; that of several spans is joined by blanks.
        """
        text, fragments = self._document.text, sorted(fragments)
        shown = f"{type} {given[:_SHOWN]!r} at {', '.join(f'[{start}, {end})' for start, end in fragments)}"
        if not fragments or not all(0 <= start < end <= len(text) for start, end in fragments):
            self.report(f"{shown}: no place in the text")
        elif any(text[a:b].strip() for (_, a), (b, _) in pairwise(fragments)):
            self._discontinuous += 1
        else:
            start, end = fragments[0][0], fragments[-1][1]
            there = text[start:end]
            joined = " ".join(text[a:b] for a, b in fragments)
            if there.strip() and given in (there, joined):
                self._mentions.add(Mention(start, end, type))
            else:
                self.report(f"{shown}: the text there is {there[:_SHOWN]!r}")

    def report(self, problem: str) -> None:
        """Report something in this document that was left out."""
        self._problems.append(MalformedRecordError(f"{self._place}: {problem}"))

    def finished(self, sentences: Sequence[Span] = ()) -> Document:
        """Return the document with its annotations, and with sentences where the format gives them."""
        mentions = tuple(sorted(self._mentions))
        annotations = Annotations(mentions, tuple(sentences), tuple(self._problems), self._discontinuous)
        return replace(self._document, annotations=annotations)


def rejected(source: str, file: str, number: int, error: InputError) -> Document:
    """Return the document that stands for a record that cannot be read, named by its number in the file."""
    return Document(source, f"{file.rpartition('/')[2]}:{number}", file, "", error=error)
