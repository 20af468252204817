"""The layout of one line for all types, each closing tag naming its type: ``[CD28|protein]``.

The sentence is copied once, whatever occurs in it; a mention's type is said when it ends. Spans of all types share
the line, so what crosses cannot be written even where the types differ.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from llmner.tagging.ebnf import BEGIN, copy_rules, terminals
from llmner.tagging.grammar import Encode, Tag, Tokens, UnitSpans, copying, single
from llmner.units import TokenisedText

BAR = "|"  # between a mention and its type
_SHOWN_BAR = "\u00a6"  # a literal bar is shown as a broken one, because bars are tags


@dataclass(frozen=True, slots=True)
class InlineVocabulary:
    """The token ids that are not the source's; see ``grammar.Vocabulary``.

    Attributes:
        types: For each type of the tag set the tokens from after the bar to the closing bracket; none is a prefix of
            another.
        open: The opening bracket, one token.
        bar: What stands between a mention and its type, one token that no source holds.
        end: The end of the output, one token.
    """

    types: tuple[tuple[int, ...], ...]
    open: int
    bar: int
    end: int

    def cursor(self, source: TokenisedText) -> "InlineCursor":
        """See ``grammar.Vocabulary.cursor``."""
        return InlineCursor(source, self)

    def write(self, source: TokenisedText, tags: UnitSpans) -> list[int]:
        """See ``grammar.Vocabulary.write``; of all types together no spans may cross."""
        coming = sorted({(first, -last, type_) for type_, spans in tags.items() for first, last in spans}, reverse=True)
        result: list[int] = []
        opened: list[tuple[int, int]] = []  # last unit and type of each open tag, outermost first
        for position, unit in enumerate(source.unit_at):
            if unit >= 0:
                while opened and opened[-1][0] == unit:
                    result += [self.bar, *self.types[opened.pop()[1]]]
                while coming and coming[-1][0] == unit:
                    _, last, type_ = coming.pop()
                    opened.append((-last, type_))
                    result.append(self.open)
            if position < len(source.tokens):
                result.append(source.tokens[position])
        return [*result, self.end]

    def ebnf(self, source: TokenisedText) -> str:
        """See ``grammar.Vocabulary.ebnf``."""
        names = " | ".join(terminals(*name) for name in self.types)
        rules = [f"root ::= {BEGIN}", f"close ::= {terminals(self.bar)} name", f"name ::= {names}"]
        return "\n".join([*rules, *copy_rules(source, open=terminals(self.open), close="close", last='""')])

    def continuation(self, source: Tokens, answer: Tokens, length: int) -> list[int]:
        """See ``grammar.Vocabulary.continuation``; a type that is being named is named to its end."""
        if len(answer) and answer[-1] == self.end:
            return []
        marks = 0  # tokens of the answer that are not the sentence's
        naming: tuple[int, ...] = ()  # what is left of a type's name
        for bar in np.flatnonzero(answer == self.bar).tolist():
            written = tuple(answer[bar + 1 : bar + 1 + max(map(len, self.types))].tolist())
            name = next((name for name in self.types if written[: len(name)] == name), None)
            if name is None:
                begun = [name for name in self.types if written and name[: len(written)] == written]
                if len(begun) != 1:
                    return []
                name, naming = written, begun[0][len(written) :]
            marks += 1 + len(name)
        opened = int(np.count_nonzero(answer == self.open))
        closed = int(np.count_nonzero(answer == self.bar))
        rest = source[len(answer) - marks - opened :].tolist()
        return [*naming, *rest, self.bar if opened > closed else self.end][:length]

    def line(self, tokens: int) -> int:
        """See ``grammar.Vocabulary.line``."""
        return tokens + 1

    def longest(self, tokens: int, *, tags: int) -> int:
        """See ``grammar.Vocabulary.longest``."""
        return self.line(tokens) + tags * tokens * (2 + max(map(len, self.types)))


class InlineCursor:
    """A place in a tagged text of this layout; see ``grammar.Cursor``.

    Args:
        source: The sentence.
        vocabulary: The tokens of tags.
    """

    __slots__ = ("_naming", "_open", "_position", "_probability", "_source", "_vocabulary", "done", "tags")

    def __init__(self, source: TokenisedText, vocabulary: InlineVocabulary) -> None:
        self.done = False
        self.tags: list[Tag] = []
        self._source = source
        self._vocabulary = vocabulary
        self._position = 0  # tokens of the sentence copied
        self._open: list[tuple[int, float]] = []  # unit and probability of each open tag, outermost first
        self._naming: tuple[int, ...] | None = None  # what is written of a type's name; None outside of one
        self._probability = 1.0  # of bar and name so far

    def copy(self) -> "InlineCursor":
        """See ``grammar.Cursor.copy``."""
        twin = InlineCursor(self._source, self._vocabulary)
        twin.done, twin.tags = self.done, self.tags.copy()
        twin._position, twin._open = self._position, self._open.copy()
        twin._naming, twin._probability = self._naming, self._probability
        return twin

    def allowed(self) -> tuple[int, ...]:
        """See ``grammar.Cursor.allowed``."""
        if self._naming is not None:
            return tuple(dict.fromkeys(name[len(self._naming)] for name in self._names()))
        if self._position == len(self._source.tokens):
            return (self._vocabulary.bar,) if self._open else (self._vocabulary.end,)
        return copying(self._source, self._position, self._open, self._vocabulary.open, self._vocabulary.bar)

    def advance(self, token: int, probability: float = 1.0) -> None:
        """See ``grammar.Cursor.advance``."""
        if self._naming is not None:
            self._naming = (*self._naming, token)
            self._probability *= probability
            if self._naming in self._vocabulary.types:
                first, opened = self._open.pop()
                type_ = self._vocabulary.types.index(self._naming)
                last = self._source.unit_at[self._position]
                self.tags.append(Tag(first, last, type_, opened * self._probability))
                self._naming = None
        elif token == self._vocabulary.open:
            self._open.append((self._source.unit_at[self._position], probability))
        elif token == self._vocabulary.bar:
            self._naming, self._probability = (), probability
        elif self._position == len(self._source.tokens):
            self.done = True
        else:
            self._position += 1

    def draft(self, length: int) -> list[int]:
        """See ``grammar.Cursor.draft``."""
        naming: tuple[int, ...] = ()
        inside = len(self._open)
        if self._naming is not None:
            names = list(self._names())
            if len(names) > 1:
                return []  # the type is for the model to say
            naming = names[0][len(self._naming) :]
            inside -= 1
        if inside:
            length = (length + 1) // 2
        tokens = [*naming, *self._source.tokens[self._position : self._position + length]]
        if inside and self._position + length >= len(self._source.tokens):
            tokens.append(self._vocabulary.bar)
        return tokens

    def _names(self) -> Iterable[tuple[int, ...]]:
        written = self._naming or ()
        return (name for name in self._vocabulary.types if name[: len(written)] == written)


class Inline:
    """See ``layouts.Layout``."""

    one_line = True
    instructions: ClassVar[Mapping[str, str]] = {
        "en": "Copy the text with its mentions in brackets, each with its type: [mention|type].",
        "zh": "重写一遍原文，用方括号标出其中的实体并注明类型：[实体|类型]。",
    }

    def sentence(self, text: str) -> str:
        """See ``layouts.Layout.sentence``."""
        return text.replace(BAR, _SHOWN_BAR)

    def around(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See ``layouts.Layout.around``."""
        return (), (BAR, label)

    def vocabulary(self, labels: Sequence[str], encode: Encode, end: int) -> InlineVocabulary:
        """See ``layouts.Layout.vocabulary``."""
        close = single(encode, "]")
        names = tuple((*encode(label), close) for label in labels)
        return InlineVocabulary(names, single(encode, "["), single(encode, BAR), end)

    def begin(self, line: str) -> tuple[str | None, int] | None:
        """See ``layouts.Layout.begin``."""
        return None, 0

    def probabilities(self, text: str, pieces: Sequence[str], logprobs: Sequence[float]) -> list[float]:
        """See ``layouts.Layout.probabilities``; that of a closing bracket includes the type's name."""
        written: list[float] = []
        naming: float | None = None  # log probability of a type's name so far
        for piece, logprob in zip(pieces, logprobs, strict=True):
            if naming is not None or BAR in piece:
                naming = (naming or 0.0) + logprob
            for c in piece:
                if c == "[":
                    written.append(math.exp(logprob))
                elif c == "]":
                    written.append(math.exp(logprob if naming is None else naming))
                    naming = None
        result = [1.0] * len(text)
        for place, probability in zip((i for i, c in enumerate(text) if c in "[]"), written, strict=False):
            result[place] = probability
        return result
