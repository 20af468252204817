"""What every layout of a tagged text has in common: the grammar of copying a sentence with tags, and what may be asked.

While a sentence is copied the next token is the source's next one, an opening tag or a closing tag:

- inside a unit only the copy may follow;
- before a unit a tag may open, up to ``MAX_DEPTH`` deep, unless the unit is white space;
- a tag may close once a unit has been copied since it opened.

Invariant: every token sequence that a layout's grammar admits reads back as labels, the exact source and balanced tags;
in every state at least one token is allowed, and where it is just one no model need be asked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmner.errors import ModelError
from llmner.units import TokenisedText

VERSION = 2  # raise it when the same model would write other tags
MAX_DEPTH = 4  # nested mentions of one type; deeper ones do not occur in any of the corpora

Tokens = NDArray[np.integer]
Encode = Callable[[str], Sequence[int]]  # token ids of a string, without special tokens
UnitSpans = Mapping[int, Iterable[tuple[int, int]]]  # for each type's index its spans in units


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A tagged span in units: ``[first, last)`` of the source, of the type with index ``type``."""

    first: int
    last: int
    type: int
    score: float = 1.0


class Cursor(Protocol):
    """A place in a tagged text that is being written: what may follow, what was tagged.

    Attributes:
        done: Whether the end token was written.
        tags: The tagged spans, in the order in which they were closed.
    """

    done: bool
    tags: list[Tag]

    def copy(self) -> "Cursor":
        """Return a cursor at the same place that walks on by itself."""
        ...

    def allowed(self) -> tuple[int, ...]:
        """Return the tokens that may follow: first the copy, or the end of the output; at least one until ``done``."""
        ...

    def advance(self, token: int, probability: float = 1.0) -> None:
        """Write the next token.

        Args:
            token: One of those allowed.
            probability: The model's, among the allowed tokens.
        """
        ...

    def draft(self, length: int) -> list[int]:
        """Return what follows if no more tags are placed on this line: at most about ``length`` tokens.

        Inside a tag it is half as many, because mentions are short and what is drafted beyond their end is wasted.
        Where the model has to name a type nothing is drafted.
        """
        ...


class Vocabulary(Protocol):
    """The tokens of the tags of a tag set in a layout, and the grammar over them."""

    def cursor(self, source: TokenisedText) -> Cursor:
        """Return a cursor at the beginning of a sentence's tagged text."""
        ...

    def write(self, source: TokenisedText, tags: UnitSpans) -> list[int]:
        """Write a tagged text, for training.

        Args:
            source: The sentence.
            tags: Spans, nested but not crossing on a line, at most ``MAX_DEPTH`` deep.

        Returns:
            Token ids up to and with the end token; a sequence the grammar admits.
        """
        ...

    def ebnf(self, source: TokenisedText) -> str:
        """Write the grammar of a sentence's tagged text for engines that decode by a grammar, see ``ebnf``."""
        ...

    def continuation(self, source: Tokens, answer: Tokens, length: int) -> list[int]:
        """Guess what a model writes next: the sentence goes on without further tags.

        Args:
            source: The sentence, ``(tokens,)``.
            answer: The answer so far.
            length: The most tokens to guess.

        Returns:
            At most ``length`` tokens; none where the answer has left the form or is at its end.
        """
        ...

    def line(self, tokens: int) -> int:
        """Return the length of an answer of one line without tags, for a sentence of so many tokens."""
        ...

    def longest(self, tokens: int, *, tags: int) -> int:
        """Return the length of the longest answer that has so many mentions for each token of each line."""
        ...


def single(encode: Encode, text: str) -> int:
    """Encode a text that must be one token.

    Raises:
        ModelError: The tokenizer needs more.
    """
    ids = encode(text)
    if len(ids) != 1:
        raise ModelError(f"the tokenizer writes {text!r} as {len(ids)} tokens, the tagged text needs one")
    return ids[0]


def copying(
    source: TokenisedText, position: int, opened: Sequence[tuple[int, float]], opening: int, closing: int
) -> tuple[int, ...]:
    """Find the tokens that may follow while a sentence is copied.

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
