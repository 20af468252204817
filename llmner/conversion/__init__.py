"""Annotated corpora in the formats in which they are published, as annotated sentences.

Each format has a pure function from the text of a file to annotated documents; how a document is cut into sentences
is the same for all.

Invariant: a span whose text is not the text that the format gives for the mention never becomes a mention: it is left
out and told, and the document stays. No mention is lost to a sentence end.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmner.annotations import AnnotatedSentence
from llmner.errors import InputError, MalformedRecordError
from llmner.mentions import Mention, trimmed
from llmner.segmentation import segment
from llmner.sources.texts import Lang, language_of

Span = tuple[int, int]

_SHOWN = 60  # code points of a text in a message
# A merged sentence may hold line ends, but a sentence is one line; as many code points as before.
_LINE_ENDS = str.maketrans(dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


@dataclass(frozen=True, slots=True)
class AnnotatedDocument:
    """A document and its gold mentions.

    Attributes:
        id: Identifier in its corpus.
        text: Its text; offsets are code points of it.
        mentions: In order, none twice.
        sentences: Spans of its sentences where the format gives them; empty where they are to be found.
        problems: What was wrong with mentions and sentences that were left out.
        discontinuous: How many mentions were left out because they consist of several spans.
    """

    id: str
    text: str
    mentions: tuple[Mention, ...]
    sentences: tuple[Span, ...] = ()
    problems: tuple[InputError, ...] = ()
    discontinuous: int = 0

    @property
    def lang(self) -> Lang:
        """Language, told by the script."""
        return language_of(self.text)


class DocumentDraft:
    """A document while its mentions are read and checked.

    Attributes:
        place: File and document, for messages.
        problems: What was wrong so far.

    Raises:
        MalformedRecordError: The text is none that can be written.
    """

    def __init__(self, file: str, id: str, text: str) -> None:
        self.place = f"{file}: document {id}"
        self.problems: list[InputError] = []
        self._id = id
        self._text = text
        self._mentions: set[Mention] = set()
        self._discontinuous = 0
        try:
            text.encode()
        except UnicodeEncodeError as e:
            raise MalformedRecordError(f"{self.place}: half a character at {e.start:,}") from e

    def add(self, fragments: Sequence[Span], type: str, given: str) -> None:
        """Add a mention if its spans hold the text that the format gives for it.

        Args:
            fragments: Its spans. Several are one when only white space lies between.
            type: Its type.
            given: Its text; that of several spans is joined by blanks.
        """
        fragments = sorted(fragments)
        shown = f"{type} {given[:_SHOWN]!r} at {', '.join(f'[{start}, {end})' for start, end in fragments)}"
        if not fragments or not all(0 <= start < end <= len(self._text) for start, end in fragments):
            self.problem(f"{shown}: no place in the text")
        elif any(self._text[a:b].strip() for (_, a), (b, _) in pairwise(fragments)):
            self._discontinuous += 1
        else:
            start, end = fragments[0][0], fragments[-1][1]
            there = self._text[start:end]
            joined = " ".join(self._text[a:b] for a, b in fragments)
            if there.strip() and given in (there, joined):
                self._mentions.add(Mention(start, end, type))
            else:
                self.problem(f"{shown}: the text there is {there[:_SHOWN]!r}")

    def problem(self, message: str) -> None:
        """Tell of something in this document that was left out."""
        self.problems.append(MalformedRecordError(f"{self.place}: {message}"))

    def finished(self, sentences: Sequence[Span] = ()) -> AnnotatedDocument:
        """The document."""
        mentions = tuple(sorted(self._mentions))
        return AnnotatedDocument(
            self._id, self._text, mentions, tuple(sentences), tuple(self.problems), self._discontinuous
        )


def sentences_of(document: AnnotatedDocument) -> list[AnnotatedSentence]:
    """Cut a document into sentences; those that a mention runs across are one.

    White space at the ends of a mention is no part of it.
    """
    text = document.text
    mentions = sorted({Mention(*trimmed(text, m.start, m.end), m.type) for m in document.mentions})
    spans = _merged(document.sentences or segment(text, document.lang), mentions)
    starts = [start for start, _ in spans]
    inside: list[list[Mention]] = [[] for _ in spans]
    for m in mentions:
        i = bisect_right(starts, m.start) - 1
        inside[i].append(Mention(m.start - starts[i], m.end - starts[i], m.type))
    return [
        AnnotatedSentence(text[start:end].translate(_LINE_ENDS), tuple(found))
        for (start, end), found in zip(spans, inside, strict=True)
    ]


def _merged(spans: Sequence[Span], mentions: Sequence[Mention]) -> list[Span]:
    """The spans, as one where a mention begins in one and ends in a later one."""
    starts = [start for start, _ in spans]
    joined = bytearray(len(spans))  # whether a span belongs to the one before it
    for m in mentions:
        first, last = bisect_right(starts, m.start) - 1, bisect_left(starts, m.end) - 1
        joined[first + 1 : last + 1] = b"\x01" * (last - first)
    result: list[Span] = []
    for span, belongs in zip(spans, joined, strict=True):
        if belongs:
            result[-1] = (result[-1][0], span[1])
        else:
            result.append(span)
    return result
