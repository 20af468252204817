"""What a model that copies will write next, read off its row of tokens; and how much of it to draft.

The row holds the whole prompt and what has been written, so nothing need be remembered: the sentence stands between
the prompt's markers, the tags taken out of the line that is being written say how far it has been copied.

Invariant: a draft is a guess. Whatever it is, the engine's verification decides; it never changes an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from llmner.tagging.grammar import Vocabulary
from llmner.tagging.inline import InlineVocabulary

Tokens = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Markers:
    """What stands around the sentence in the prompt.

    Attributes:
        before: The last token in front of the sentence; it ends a line, so no sentence has it.
        after: The tokens between the sentence and the answer.
    """

    before: int
    after: tuple[int, ...]


def continuation(
    row: Tokens, markers: Markers, vocabulary: Callable[[Tokens], Vocabulary | InlineVocabulary], length: int
) -> list[int]:
    """Guess the next tokens: the sentence goes on without further tags.

    At the sentence's end comes the newline, then the next type's name and the sentence again; behind the last type
    comes the end. Where all types share a line, that is the end; a type that is being named is named to its end.

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
    known = vocabulary(row[:start])
    source = row[start:asked]
    answer = row[asked + len(markers.after) :]
    if isinstance(known, InlineVocabulary):
        return _inline_continuation(source, answer, known)[:length]
    return _lines_continuation(source, answer, known, length)


def _inline_continuation(source: Tokens, answer: Tokens, vocabulary: InlineVocabulary) -> list[int]:
    """The rest of the sentence, or of the type's name that is being written, if it has begun."""
    if len(answer) and answer[-1] == vocabulary.end:
        return []
    marks = 0  # tokens of the answer that are not the sentence's
    for bar in np.flatnonzero(answer == vocabulary.bar).tolist():
        written = tuple(answer[bar + 1 : bar + 1 + max(map(len, vocabulary.types))].tolist())
        name = next((name for name in vocabulary.types if written[: len(name)] == name), None)
        if name is None:
            begun = [name for name in vocabulary.types if written and name[: len(written)] == written]
            return list(begun[0][len(written) :]) if len(begun) == 1 else []
        marks += 1 + len(name)
    opened = int(np.count_nonzero(answer == vocabulary.open))
    closed = int(np.count_nonzero(answer == vocabulary.bar))
    rest = source[len(answer) - marks - opened :].tolist()
    return [*rest, vocabulary.bar if opened > closed else vocabulary.end]


def _lines_continuation(source: Tokens, answer: Tokens, known: Vocabulary, length: int) -> list[int]:
    """The rest of the sentence without further tags, then the next type's line."""
    lines = [0, *(np.flatnonzero(answer == known.newline) + 1).tolist()]
    line = answer[lines[-1] :]
    previous = _head(answer[lines[-2] :], known) if len(lines) > 1 else -1
    guess: list[int] = []
    if not len(line):
        type_ = previous
    elif (type_ := _head(line, known)) >= 0:
        copied = line[len(known.heads[type_]) :]
        opened, closed = (int(np.count_nonzero(copied == tag)) for tag in (known.open, known.close))
        rest = source[len(copied) - opened - closed :]
        guess = [*rest[:length].tolist(), *[known.close] * (opened - closed), known.newline]
    else:
        type_, head = _begun(tuple(line.tolist()), known, previous)
        if not head:
            return []
        guess = [*head, *source[:length].tolist(), known.newline]
    while len(guess) < length:
        type_ += 1
        if type_ == len(known.heads):
            guess.append(known.end)
            break
        guess += [*known.heads[type_], *source[:length].tolist(), known.newline]
    return guess[:length]


def _find(row: Tokens, tokens: Sequence[int]) -> int:
    """Where a run of tokens begins in a row for the first time; -1 where it does not occur."""
    last = len(row) - len(tokens) + 1
    if last < 1:
        return -1
    found = row[:last] == tokens[0]
    for i, token in enumerate(tokens[1:], start=1):
        found &= row[i : last + i] == token
    place = int(found.argmax())
    return place if found[place] else -1


def _head(line: Tokens, vocabulary: Vocabulary) -> int:
    """Index of the type whose head a line begins with; -1 where it is none."""
    begin = tuple(line[: max(map(len, vocabulary.heads), default=0)].tolist())
    return next((i for i, head in enumerate(vocabulary.heads) if begin[: len(head)] == head), -1)


def _begun(written: tuple[int, ...], vocabulary: Vocabulary, previous: int) -> tuple[int, tuple[int, ...]]:
    """The next type whose head begins as written, and the rest of that head; nothing where there is none."""
    for i, head in enumerate(vocabulary.heads[previous + 1 :], start=previous + 1):
        if head[: len(written)] == written:
            return i, head[len(written) :]
    return previous, ()


@lru_cache(maxsize=4096)
def best_length(acceptance: float, rows: int, *, free: int, longest: int) -> int:
    """The draft length with the most tokens written a second.

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
