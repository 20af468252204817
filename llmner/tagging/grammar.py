"""What may come next while a sentence is copied: the grammar of the tagged text, one token at a time.

A tagged text is lines ``label: sentence with tags``, one a type at most, in tag-set order, then the end token.
While the sentence is copied the next token is the source's next one, an opening tag or a closing tag:

- inside a unit only the copy may follow;
- before a unit a tag may open, up to ``MAX_DEPTH`` deep, unless the unit is white space;
- a tag may close once a unit has been copied since it opened.

Invariant: every token sequence the grammar admits reads back as labels, the exact source and balanced tags;
in every state at least one token is allowed, and where it is just one no model need be asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llmner.tagging.units import TokenisedText

VERSION = 1  # raise it when the same model would write other tags
MAX_DEPTH = 4  # nested mentions of one type; deeper ones do not occur in any of the corpora


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The token ids that are not the source's.

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

    def line(self, tokens: int) -> int:
        """Length of an answer of one line without tags, for a sentence of so many tokens."""
        return max(map(len, self.heads)) + tokens + 2

    def longest(self, tokens: int, *, tags: int) -> int:
        """Length of an answer with a line for each type, and so many mentions for each token of each line."""
        return len(self.heads) * (self.line(tokens) + 2 * tags * tokens)


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A tagged span in units: ``[first, last)`` of the source, of the type with index ``type``."""

    first: int
    last: int
    type: int
    score: float = 1.0


class Cursor:
    """A place in a tagged text that is being written: what may follow, what was tagged.

    Args:
        source: The sentence.
        vocabulary: The tokens of tags and heads.
    """

    __slots__ = ("_head", "_line", "_line_score", "_open", "_position", "_source", "_vocabulary", "done", "tags")

    def __init__(self, source: TokenisedText, vocabulary: Vocabulary) -> None:
        self.done = False
        self.tags: list[Tag] = []  # in the order in which they were closed
        self._source = source
        self._vocabulary = vocabulary
        self._line = -1  # type of this line, or of the last one while a head is written
        self._line_score = 1.0
        self._head: tuple[int, ...] | None = ()  # tokens of the head so far; None while the sentence is copied
        self._position = 0  # tokens of the sentence copied on this line
        self._open: list[tuple[int, float]] = []  # unit and probability of each open tag, outermost first

    def copy(self) -> "Cursor":
        """A cursor at the same place that walks on by itself."""
        twin = Cursor(self._source, self._vocabulary)
        twin.done, twin.tags = self.done, self.tags.copy()
        twin._line, twin._line_score, twin._head = self._line, self._line_score, self._head
        twin._position, twin._open = self._position, self._open.copy()
        return twin

    def allowed(self) -> tuple[int, ...]:
        """The tokens that may follow: first the copy, or the end of the output; one at least until ``done``."""
        if self._head is not None:
            written = len(self._head)
            following = dict.fromkeys(h[written] for h in self._heads())
            return tuple(following) if written else (self._vocabulary.end, *following)
        if self._position == len(self._source.tokens):
            return (self._vocabulary.close,) if self._open else (self._vocabulary.newline,)
        return copying(self._source, self._position, self._open, self._vocabulary.open, self._vocabulary.close)

    def advance(self, token: int, probability: float = 1.0) -> None:
        """Write the next token.

        Args:
            token: One of those allowed.
            probability: The model's, among the allowed tokens.
        """
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
        """What follows if no more tags are placed on this line: at most ``length`` tokens of the sentence.

        Inside a tag it is half as many, because mentions are short and what is drafted beyond their end is fed in
        vain. At a line's start nothing is drafted: which type comes next is for the model to say.
        """
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


def copying(
    source: TokenisedText, position: int, opened: Sequence[tuple[int, float]], opening: int, closing: int
) -> tuple[int, ...]:
    """The tokens that may follow while a sentence is copied, in either layout.

    Args:
        source: The sentence.
        position: How many of its tokens have been copied; not all.
        opened: Unit and probability of each open tag, outermost first.
        opening: The token that opens a tag.
        closing: The token that closes one, or begins to.

    Returns:
        First the copy, then the tags that may stand here.
    """
    unit = source.unit_at[position]
    tokens = [source.tokens[position]]
    if unit >= 0:
        if len(opened) < MAX_DEPTH and not source.blank[unit]:
            tokens.append(opening)
        if opened and opened[-1][0] < unit:
            tokens.append(closing)
    return tuple(tokens)


def write(source: TokenisedText, tags: Mapping[int, Iterable[tuple[int, int]]], vocabulary: Vocabulary) -> list[int]:
    """The tokens of a tagged text, for training.

    Args:
        source: The sentence.
        tags: For each type's index its spans in units, nested but not crossing, at most ``MAX_DEPTH`` deep.
        vocabulary: The tokens of tags and heads.

    Returns:
        Token ids up to and with the end token; a sequence the grammar admits.
    """
    result: list[int] = []
    for type_, spans in sorted(tags.items()):
        spans = set(spans)
        if not spans:
            continue
        opens = [0] * (len(source.offsets) + 1)
        closes = [0] * (len(source.offsets) + 1)
        for first, last in spans:
            opens[first] += 1
            closes[last] += 1
        result += vocabulary.heads[type_]
        for position, unit in enumerate(source.unit_at):
            if unit >= 0:
                result += [vocabulary.close] * closes[unit] + [vocabulary.open] * opens[unit]
            if position < len(source.tokens):
                result.append(source.tokens[position])
        result.append(vocabulary.newline)
    return [*result, vocabulary.end]
