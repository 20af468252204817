"""The layout of one line a type: ``label: sentence with tags``, in tag-set order, then the end token.

A type without mentions has no line, so a sentence without mentions has the empty answer. Mentions of one type nest;
those of different types stand on lines of their own, so that they may cross.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from llmner.errors import ModelError
from llmner.tagging.ebnf import BEGIN, copy_rules, terminals
from llmner.tagging.grammar import Encode, Tag, Tokens, UnitSpans, copying, single
from llmner.units import TokenisedText


@dataclass(frozen=True, slots=True)
class LinesVocabulary:
    """The token ids that are not the source's; see ``grammar.Vocabulary``.

    Attributes:
        heads: For each type of the tag set the tokens of its line's head; none is a prefix of another.
        open: The opening tag, one token.
        close: The closing tag, one token.
        newline: The end of a line, one token.
        end: The end of the output, one token.
    """

    heads: tuple[tuple[int, ...], ...]
    open: int
    close: int
    newline: int
    end: int

    def cursor(self, source: TokenisedText) -> "LinesCursor":
        """See ``grammar.Vocabulary.cursor``."""
        return LinesCursor(source, self)

    def write(self, source: TokenisedText, tags: UnitSpans) -> list[int]:
        """See ``grammar.Vocabulary.write``."""
        result: list[int] = []
        for type_, spans in sorted(tags.items()):
            spans = set(spans)
            if not spans:
                continue
            opens = Counter(first for first, _ in spans)
            closes = Counter(last for _, last in spans)
            result += self.heads[type_]
            for position, unit in enumerate(source.unit_at):
                if unit >= 0:
                    result += [self.close] * closes[unit] + [self.open] * opens[unit]
                if position < len(source.tokens):
                    result.append(source.tokens[position])
            result.append(self.newline)
        return [*result, self.end]

    def ebnf(self, source: TokenisedText) -> str:
        """See ``grammar.Vocabulary.ebnf``."""
        root = "root ::= " + " ".join(f"({terminals(*head)} {BEGIN})?" for head in self.heads)
        close, last = terminals(self.close), terminals(self.newline)
        return "\n".join([root, *copy_rules(source, open=terminals(self.open), close=close, last=last)])

    def continuation(self, source: Tokens, answer: Tokens, length: int) -> list[int]:
        """See ``grammar.Vocabulary.continuation``; behind the sentence comes the next type's line."""
        lines = [0, *(np.flatnonzero(answer == self.newline) + 1).tolist()]
        line = answer[lines[-1] :]
        previous = self._head(answer[lines[-2] :]) if len(lines) > 1 else -1
        guess: list[int] = []
        if not len(line):
            type_ = previous
        elif (type_ := self._head(line)) >= 0:
            copied = line[len(self.heads[type_]) :]
            opened, closed = (int(np.count_nonzero(copied == tag)) for tag in (self.open, self.close))
            rest = source[len(copied) - opened - closed :]
            guess = [*rest[:length].tolist(), *[self.close] * (opened - closed), self.newline]
        else:
            type_, head = self._begun(tuple(line.tolist()), previous)
            if not head:
                return []
            guess = [*head, *source[:length].tolist(), self.newline]
        while len(guess) < length:
            type_ += 1
            if type_ == len(self.heads):
                guess.append(self.end)
                break
            guess += [*self.heads[type_], *source[:length].tolist(), self.newline]
        return guess[:length]

    def line(self, tokens: int) -> int:
        """See ``grammar.Vocabulary.line``."""
        return max(map(len, self.heads)) + tokens + 2

    def longest(self, tokens: int, *, tags: int) -> int:
        """See ``grammar.Vocabulary.longest``: a line for each type."""
        return len(self.heads) * (self.line(tokens) + 2 * tags * tokens)

    def _head(self, line: Tokens) -> int:
        """Index of the type whose head a line begins with; -1 where there is none."""
        begin = tuple(line[: max(map(len, self.heads), default=0)].tolist())
        return next((i for i, head in enumerate(self.heads) if begin[: len(head)] == head), -1)

    def _begun(self, written: tuple[int, ...], previous: int) -> tuple[int, tuple[int, ...]]:
        """Return the next type whose head begins as written, and the rest of that head; nothing where there is none."""
        for i, head in enumerate(self.heads[previous + 1 :], start=previous + 1):
            if head[: len(written)] == written:
                return i, head[len(written) :]
        return previous, ()


class LinesCursor:
    """A place in a tagged text of this layout; see ``grammar.Cursor``.

    Args:
        source: The sentence.
        vocabulary: The tokens of tags and heads.
    """

    __slots__ = ("_head", "_line", "_line_score", "_open", "_position", "_source", "_vocabulary", "done", "tags")

    def __init__(self, source: TokenisedText, vocabulary: LinesVocabulary) -> None:
        self.done = False
        self.tags: list[Tag] = []  # in the order in which they were closed
        self._source = source
        self._vocabulary = vocabulary
        self._line = -1  # type of this line, or of the last one while a head is written
        self._line_score = 1.0
        self._head: tuple[int, ...] | None = ()  # tokens of the head so far; None while the sentence is copied
        self._position = 0  # tokens of the sentence copied on this line
        self._open: list[tuple[int, float]] = []  # unit and probability of each open tag, outermost first

    def copy(self) -> "LinesCursor":
        """See ``grammar.Cursor.copy``."""
        twin = LinesCursor(self._source, self._vocabulary)
        twin.done, twin.tags = self.done, self.tags.copy()
        twin._line, twin._line_score, twin._head = self._line, self._line_score, self._head
        twin._position, twin._open = self._position, self._open.copy()
        return twin

    def allowed(self) -> tuple[int, ...]:
        """See ``grammar.Cursor.allowed``."""
        if self._head is not None:
            written = len(self._head)
            following = dict.fromkeys(h[written] for h in self._heads())
            return tuple(following) if written else (self._vocabulary.end, *following)
        if self._position == len(self._source.tokens):
            return (self._vocabulary.close,) if self._open else (self._vocabulary.newline,)
        return copying(self._source, self._position, self._open, self._vocabulary.open, self._vocabulary.close)

    def advance(self, token: int, probability: float = 1.0) -> None:
        """See ``grammar.Cursor.advance``."""
        if self._head is not None:
            self._advance_head(token, probability)
        elif token == self._vocabulary.open:
            self._open.append((self._source.unit_at[self._position], probability))
        elif token == self._vocabulary.close:
            first, opened = self._open.pop()
            score = self._line_score * opened * probability
            self.tags.append(Tag(first, self._source.unit_at[self._position], self._line, score))
        elif self._position == len(self._source.tokens):  # the newline
            self._head = ()
        else:
            self._position += 1

    def draft(self, length: int) -> list[int]:
        """See ``grammar.Cursor.draft``."""
        source, start = self._source.tokens, self._position
        if self._open:
            length = (length + 1) // 2
        if self._head is None:
            tokens = list(source[start : start + length])
        elif self._head:
            head = next(iter(self._heads()))
            start = 0
            tokens = [*head[len(self._head) :], *source[:length]]
        else:
            return []
        if start + length >= len(source):
            tokens += [*[self._vocabulary.close] * len(self._open), self._vocabulary.newline]
        return tokens

    def _heads(self) -> Iterable[tuple[int, ...]]:
        """Heads of the lines that may still come and begin with what is written of one."""
        head = self._head or ()
        return (h for h in self._vocabulary.heads[self._line + 1 :] if h[: len(head)] == head)

    def _advance_head(self, token: int, probability: float) -> None:
        if not self._head and token == self._vocabulary.end:
            self.done = True
            return
        self._line_score = probability * (self._line_score if self._head else 1.0)
        self._head = (*(self._head or ()), token)
        if self._head in self._vocabulary.heads:
            self._line = self._vocabulary.heads.index(self._head)
            self._head = None
            self._position = 0


class Lines:
    """See ``layouts.Layout``."""

    one_line = False
    instructions: ClassVar[Mapping[str, str]] = {
        "en": "Copy the text once for each entity type that occurs in it, with its mentions in [brackets].",
        "zh": "对文中出现的每个实体类型，重写一遍原文，并用[方括号]标出该类实体。",
    }

    def sentence(self, text: str) -> str:
        """See ``layouts.Layout.sentence``."""
        return text

    def around(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See ``layouts.Layout.around``."""
        return (line_head(label),), ()

    def vocabulary(self, labels: Sequence[str], encode: Encode, end: int) -> LinesVocabulary:
        """See ``layouts.Layout.vocabulary``."""
        heads = tuple(tuple(encode(line_head(label))) for label in labels)
        for a in heads:
            for b in heads:
                if a is not b and b[: len(a)] == a:
                    raise ModelError(f"labels {', '.join(labels)}: two begin with the same tokens {a}")
        return LinesVocabulary(heads, single(encode, "["), single(encode, "]"), single(encode, "\n"), end)

    def begin(self, line: str) -> tuple[str | None, int] | None:
        """See ``layouts.Layout.begin``."""
        label, colon, rest = line.partition(":")
        if not colon:
            return None
        return label.strip(), len(label) + 1 + rest.startswith(" ")

    def probabilities(self, text: str, pieces: Sequence[str], logprobs: Sequence[float]) -> list[float]:
        """See ``layouts.Layout.probabilities``."""
        result = [1.0] * len(text)
        written = ((c, logprob) for piece, logprob in zip(pieces, logprobs, strict=True) for c in piece if c in "[]")
        for place, (_, logprob) in zip((i for i, c in enumerate(text) if c in "[]"), written, strict=False):
            result[place] = math.exp(logprob)
        starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        for start, probability in zip(starts, _label_probabilities(pieces, logprobs), strict=False):
            if start < len(text):
                result[start] *= probability
        return result


def line_head(label: str) -> str:
    """Return what stands before the sentence on a type's line."""
    return f"{label}: "


def _label_probabilities(pieces: Sequence[str], logprobs: Sequence[float]) -> list[float]:
    """For each line the probability of its label, up to the colon."""
    ends = list(accumulate("\n" in piece for piece in pieces))
    sums: list[float] = []
    open_ = False
    for i, (piece, logprob) in enumerate(zip(pieces, logprobs, strict=True)):
        line = ends[i - 1] if i else 0
        if line == len(sums):
            sums.append(0.0)
            open_ = True
        if open_:
            sums[-1] += logprob
            open_ = ":" not in piece
    return [math.exp(s) for s in sums]
