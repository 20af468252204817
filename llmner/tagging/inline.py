"""The grammar of the other layout: one line for all types, each closing tag naming its type, ``[CD28|protein]``.

The sentence is copied once, whatever occurs in it; a mention's type is said when it ends. Spans of all types share
the line, so what crosses cannot be written even where the types differ.

Invariant: as in ``grammar``: every admitted sequence reads back, and in every state at least one token is allowed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llmner.tagging.grammar import Tag, copying
from llmner.tagging.units import TokenisedText


@dataclass(frozen=True, slots=True)
class InlineVocabulary:
    """The token ids that are not the source's.

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

    def line(self, tokens: int) -> int:
        """Length of an answer without tags, for a sentence of so many tokens."""
        return tokens + 1

    def longest(self, tokens: int, *, tags: int) -> int:
        """Length of an answer with so many mentions for each token."""
        return self.line(tokens) + tags * tokens * (2 + max(map(len, self.types)))


class InlineCursor:
    """A place in a tagged text of this layout; see ``grammar.Cursor``, whose methods it has.

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
        """A cursor at the same place that walks on by itself."""
        twin = InlineCursor(self._source, self._vocabulary)
        twin.done, twin.tags = self.done, self.tags.copy()
        twin._position, twin._open = self._position, self._open.copy()
        twin._naming, twin._probability = self._naming, self._probability
        return twin

    def allowed(self) -> tuple[int, ...]:
        """The tokens that may follow: first the copy, or the end of the output; one at least until ``done``."""
        if self._naming is not None:
            return tuple(dict.fromkeys(name[len(self._naming)] for name in self._names()))
        if self._position == len(self._source.tokens):
            return (self._vocabulary.bar,) if self._open else (self._vocabulary.end,)
        return copying(self._source, self._position, self._open, self._vocabulary.open, self._vocabulary.bar)

    def advance(self, token: int, probability: float = 1.0) -> None:
        """Write the next token; see ``grammar.Cursor.advance``."""
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
        """What follows if no more tags are placed: at most ``length`` tokens, half as many inside a tag."""
        if self._naming is not None:
            return []  # the type is for the model to say
        if self._open:
            length = (length + 1) // 2
        tokens = list(self._source.tokens[self._position : self._position + length])
        if self._open and self._position + length >= len(self._source.tokens):
            tokens.append(self._vocabulary.bar)
        return tokens

    def _names(self) -> Iterable[tuple[int, ...]]:
        written = self._naming or ()
        return (name for name in self._vocabulary.types if name[: len(written)] == written)


def write_inline(
    source: TokenisedText, tags: Mapping[int, Iterable[tuple[int, int]]], vocabulary: InlineVocabulary
) -> list[int]:
    """The tokens of a tagged text of this layout, for training.

    Args:
        source: The sentence.
        tags: For each type's index its spans in units; of all types together none cross, at most ``MAX_DEPTH`` deep.
        vocabulary: The tokens of tags.

    Returns:
        Token ids up to and with the end token; a sequence the grammar admits.
    """
    coming = sorted({(first, -last, type_) for type_, spans in tags.items() for first, last in spans}, reverse=True)
    result: list[int] = []
    opened: list[tuple[int, int]] = []  # last unit and type of each open tag, outermost first
    for position, unit in enumerate(source.unit_at):
        if unit >= 0:
            while opened and opened[-1][0] == unit:
                result += [vocabulary.bar, *vocabulary.types[opened.pop()[1]]]
            while coming and coming[-1][0] == unit:
                _, last, type_ = coming.pop()
                opened.append((-last, type_))
                result.append(vocabulary.open)
        if position < len(source.tokens):
            result.append(source.tokens[position])
    return [*result, vocabulary.end]
