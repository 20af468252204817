"""What a model that copies will write next, read off its row of tokens; and how much of it to draft.

The row holds the whole prompt and what has been written, so nothing need be remembered: the sentence stands between
the prompt's markers, the tags taken out of the line that is being written say how far it has been copied.

Invariant: a draft is a guess. Whatever it is, the engine's verification decides; it never changes an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from llmner.tagging.grammar import Tokens, Vocabulary


@dataclass(frozen=True, slots=True)
class Markers:
    """What stands around the sentence in the prompt.

    Attributes:
        before: The last token in front of the sentence; it ends a line, so no sentence has it.
        after: The tokens between the sentence and the answer.
    """

    before: int
    after: tuple[int, ...]


def continuation(row: Tokens, markers: Markers, vocabulary: Callable[[Tokens], Vocabulary], length: int) -> list[int]:
    """Guess the next tokens: the sentence goes on without further tags, see ``grammar.Vocabulary.continuation``.

    Args:
        row: Prompt and answer so far, ``(tokens,)``.
        markers: What stands around the sentence.
        vocabulary: The tag set's tokens, from the part of the prompt in front of the sentence.
        length: The most tokens to guess.

    Returns:
        At most ``length`` tokens; none where the row is not one of ours, or the answer has left the form.
    """
    asked = _find(row, markers.after)
    starts = np.flatnonzero(row[: max(asked, 0)] == markers.before)
    if not len(starts):
        return []
    start = int(starts[-1]) + 1
    answer = row[asked + len(markers.after) :]
    return vocabulary(row[:start]).continuation(row[start:asked], answer, length)


def _find(row: Tokens, tokens: Sequence[int]) -> int:
    """Return where a run of tokens begins in a row for the first time; -1 where it does not occur."""
    last = len(row) - len(tokens) + 1
    if last < 1:
        return -1
    found = row[:last] == tokens[0]
    for i, token in enumerate(tokens[1:], start=1):
        found &= row[i : last + i] == token
    place = int(found.argmax())
    return place if found[place] else -1


@lru_cache(maxsize=4096)
def best_length(acceptance: float, rows: int, *, free: int, longest: int) -> int:
    """Return the draft length with the most tokens written a second.

    With each drafted token accepted with probability ``a``, a step of ``k`` drafted tokens writes
    ``(1 - a^(k+1)) / (1 - a)`` tokens on average (Leviathan et al. 2023, arXiv 2211.17192, equation 1). It takes the
    time to read the weights, as long as feeding ``free`` tokens takes, and the time to feed ``rows * (k+1)`` tokens.

    Args:
        acceptance: Probability that a drafted token is accepted once those before it were, in [0, 1).
        rows: Sentences that are decoded together.
        free: Tokens that cost as much time to feed as the weights to read.
        longest: The most tokens that may be drafted.

    Returns:
        Tokens to draft, 1 to ``longest``; never 0, because acceptance is known only by trying.
    """

    def rate(k: int) -> float:
        return (1 - acceptance ** (k + 1)) / (1 - acceptance) / (free + rows * (k + 1))

    return max(range(1, longest + 1), key=rate)
