"""What goes wrong: mistakes told apart by kind, and the most frequent ones.

A predicted mention that is not gold and a gold mention that was not predicted are one mistake where they overlap:

- ``type``: the same span, another type;
- ``boundary``: the same type, another span;
- ``boundary and type``: both differ.

What is left over is ``spurious`` (predicted) or ``missed`` (gold). That a spurious mention overlaps a gold one that
was found changes nothing: the gold one has its prediction.

Invariant: every mention is right or in exactly one mistake. So false positives are all mistakes but the missed, and
false negatives all but the spurious.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from llmner.evaluation.scoring import Span

Kind = Literal["type", "boundary", "boundary and type", "spurious", "missed"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a sentence.

    Attributes:
        kind: What is wrong.
        gold: The gold mention; None where spurious.
        predicted: The predicted mention; None where missed.
    """

    kind: Kind
    gold: Span | None
    predicted: Span | None

    @property
    def type(self) -> str:
        """Type of the gold mention, or of the predicted one where there is no gold."""
        return self._mentions[0][2]

    @property
    def span(self) -> tuple[int, int]:
        """From where the first of its mentions begins to where the last ends."""
        return min(m[0] for m in self._mentions), max(m[1] for m in self._mentions)

    @property
    def _mentions(self) -> list[Span]:
        return [m for m in (self.gold, self.predicted) if m is not None]


@dataclass(frozen=True, slots=True)
class Frequent:
    """A mistake made again and again: the same words of the same types.

    Attributes:
        times: How often.
        sentence: Index of the first sentence it was made in.
        mistake: As it was made there.
    """

    times: int
    sentence: int
    mistake: Mistake


def mistakes(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Mistake]:
    """Return the mistakes of a sentence, in order of their places.

    Which belong together: of all overlapping pairs first those of one span, then those of one type, then the others,
    each time the pair with the most in common (overlap by union) before the next; a mention is in one pair at most.

    Args:
        gold: Mentions of the sentence as (start, end, type).
        predicted: Those that were predicted.
    """
    gold, predicted = set(gold), set(predicted)
    missed, spurious = gold - predicted, predicted - gold
    found: list[Mistake] = []
    pairs = ((g, p) for g in missed for p in spurious if g[0] < p[1] and p[0] < g[1])
    for g, p in sorted(pairs, key=lambda pair: (KINDS.index(_kind(*pair)), -_common(*pair), pair)):
        if g in missed and p in spurious:
            found.append(Mistake(_kind(g, p), g, p))
            missed.remove(g)
            spurious.remove(p)
    found += [Mistake("spurious", None, p) for p in spurious]
    found += [Mistake("missed", g, None) for g in missed]
    return sorted(found, key=lambda m: (m.span, m.type, m.kind))


def _kind(gold: Span, predicted: Span) -> Kind:
    if gold[:2] == predicted[:2]:
        return "type"
    return "boundary" if gold[2] == predicted[2] else "boundary and type"


def _common(a: Span, b: Span) -> float:
    """Return the overlap of two overlapping spans as a share of what they cover together, in (0, 1]."""
    return (min(a[1], b[1]) - max(a[0], b[0])) / (max(a[1], b[1]) - min(a[0], b[0]))


def most_frequent(texts: Sequence[str], made: Sequence[Sequence[Mistake]], *, limit: int = 20) -> list[Frequent]:
    """Return the most frequent mistakes; of equally frequent ones the one made first comes first.

    Args:
        texts: The sentences.
        made: The mistakes of each.
        limit: How many to return at most.
    """
    found: dict[tuple, list[tuple[int, Mistake]]] = {}
    for i, (text, here) in enumerate(zip(texts, made, strict=True)):
        for mistake in here:
            words = (m and (text[m[0] : m[1]], m[2]) for m in (mistake.gold, mistake.predicted))
            found.setdefault((mistake.kind, *words), []).append((i, mistake))
    ranked = sorted(found.values(), key=len, reverse=True)  # stable: dict order is order of first occurrence
    return [Frequent(len(places), *places[0]) for places in ranked[:limit]]
