"""A document of an annotated corpus while its mentions are read and checked.

Invariant: a span whose text is not the text that the format gives for the mention never becomes a mention: it is left
out and reported, and the document stays.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from operator import attrgetter

from llmner.documents import Annotations, Document
from llmner.errors import InputError, MalformedRecordError
from llmner.mentions import Mention, Span

_SHOWN = 60  # code points of a text in a message
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_GREEK = {c: unicodedata.name(c).rpartition(" ")[2].lower() for c in "αβγδεζηθικλμνξοπρστυφχψω"}
_GREEK_NAMES = str.maketrans(_GREEK)  # beta-catenin
_GREEK_LETTERS = str.maketrans({c: name[0] for c, name in _GREEK.items()})  # TNF-a


class Draft:
    """A document whose mentions are being read.

    Args:
        document: The document without annotations.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._mentions: set[Mention] = set()
        self._problems: list[InputError] = []
        self._discontinuous = 0
        self._place = f"{document.source_file}: document {document.source_id}"

    def add(self, fragments: Sequence[Span], type: str, given: str) -> None:
        """Add a mention if its spans hold the text that the format gives for it.

        Args:
            fragments: Its spans. Several are one when only white space lies between.
            type: Its type.
            given: Its text; white space, width, kinds of dashes and Greek letters may be written in another way.
        """
        text, fragments = self._document.text, sorted(fragments)
        if not fragments or not all(0 <= start < end <= len(text) for start, end in fragments):
            self.report(f"{_shown(fragments, type, given)}: no place in the text")
        elif any(text[a:b].strip() for (_, a), (b, _) in pairwise(fragments)):
            self._discontinuous += 1
        else:
            start, end = fragments[0][0], fragments[-1][1]
            there = text[start:end]
            if there.strip() and _repeats(given, there):
                self._mentions.add(Mention(start, end, type))
            else:
                self.report(f"{_shown(fragments, type, given)}: the text there is {there[:_SHOWN]!r}")

    def report(self, problem: str) -> None:
        """Report something in this document that was left out."""
        self._problems.append(MalformedRecordError(f"{self._place}: {problem}"))

    def finished(self, sentences: Sequence[Span] = ()) -> Document:
        """Return the document with its annotations, and with sentences where the format gives them."""
        mentions = tuple(sorted(self._mentions, key=attrgetter("start", "end", "type")))
        annotations = Annotations(mentions, tuple(sentences), tuple(self._problems), self._discontinuous)
        return replace(self._document, annotations=annotations)


def _shown(fragments: Sequence[Span], type: str, given: str) -> str:
    """Return a mention as messages show it."""
    return f"{type} {given[:_SHOWN]!r} at {', '.join(f'[{start}, {end})' for start, end in fragments)}"


def _repeats(given: str, there: str) -> bool:
    """Return whether a corpus repeats the text that stands there, but for what tools change when they repeat it."""
    if given == there:
        return True
    theirs, ours = (" ".join(unicodedata.normalize("NFKC", text).translate(_DASHES).split()) for text in (given, there))
    return theirs in (ours, ours.translate(_GREEK_NAMES), ours.translate(_GREEK_LETTERS))


def rejected(source: str, file: str, number: int, error: InputError) -> Document:
    """Return the document that stands for a record that cannot be read, named by its number in the file."""
    return Document(source, f"{file.rpartition('/')[2]}:{number}", file, "", error=error)
