"""Positive and negative samples for the selector, from gold mentions and from the generator's own mistakes.

A group is a gold mention and the spans that it has to win against. Three kinds of negatives:

- ``boundary``: overlaps a gold mention of its type: an edge moved by up to ``MOST_MOVED`` units, one half, a span
  around it or inside it;
- ``type``: the span of a gold mention with another type of the tag set;
- ``spurious``: neither; what a generator found on text that it was not trained on, and unannotated repeats of
  annotated strings.

What the generator got wrong itself comes first in each kind; made-up samples fill what is left of the quota.

Invariant: no negative is gold, every gold mention is a positive, and the same seed gives the same samples.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gold", "boundary", "type", "spurious"]
KINDS: tuple[Kind, ...] = ("boundary", "type", "spurious")
MOST_MOVED = 3  # units by which an edge is moved
LONGEST_REPEAT = 12  # units of the longest annotated string that is looked for again

Lexicon = Mapping[tuple[str, ...], Collection[int]]


@dataclass(frozen=True, slots=True, order=True)
class UnitSpan:
    """A typed span ``[first, last)`` in units of a sentence; ``type`` is the index in the tag set."""

    first: int
    last: int
    type: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A span to judge.

    Attributes:
        span: Where and what.
        kind: ``gold`` for a positive, else the kind of negative.
        group: Number of the gold mention that it competes with (its own for a positive); None for a negative
            that no gold mention competes with.
    """

    span: UnitSpan
    kind: Kind
    group: int | None


@dataclass(frozen=True, slots=True)
class Quota:
    """How many negatives at most: ``boundary`` and ``type`` a gold mention, ``spurious`` a sentence."""

    boundary: int = 4
    type: int = 1
    spurious: int = 3


def samples(
    blank: Sequence[bool],
    gold: Collection[UnitSpan],
    types: int,
    *,
    mistakes: Collection[UnitSpan] = (),
    repeats: Collection[UnitSpan] = (),
    quota: Quota = Quota(),
    seed: str,
) -> list[Sample]:
    """Return the samples of one sentence.

    Args:
        blank: For each unit whether it is white space.
        gold: Its gold mentions.
        types: Types of the tag set.
        mistakes: What a generator found in it; what is gold among it counts for nothing.
        repeats: Unannotated repeats, see ``find_repeats``.
        quota: How many negatives.
        seed: Seed of the choice among possible negatives; name the sentence in it.

    Returns:
        Positives and negatives, in order of group, then span; each span once.
    """
    rng = random.Random(seed)
    mentions = sorted(gold)
    taken = set(mentions)
    result = [Sample(span, "gold", group) for group, span in enumerate(mentions)]

    def take(candidates: Iterable[UnitSpan], kind: Kind, group: int | None, most: int) -> None:
        free = [span for span in dict.fromkeys(candidates) if span not in taken]
        for span in free[:most]:
            taken.add(span)
            result.append(Sample(span, kind, group))

    places = [(span, *_place(span, mentions)) for span in _shuffled(mistakes, rng) if span not in taken]
    for group, span in enumerate(mentions):
        own = {kind: [m for m, k, g in places if (k, g) == (kind, group)] for kind in KINDS}
        take([*own["boundary"], *_likely_first(span, boundaries(span, blank), rng)], "boundary", group, quota.boundary)
        others = [UnitSpan(span.first, span.last, t) for t in range(types) if t != span.type]
        take([*own["type"], *_shuffled(others, rng)], "type", group, quota.type)
    strange = [m for m, kind, _ in places if kind == "spurious"]
    lone_repeats = [r for r in _shuffled(repeats, rng) if _place(r, mentions)[0] == "spurious"]
    take([*strange, *lone_repeats], "spurious", None, quota.spurious)
    return sorted(result, key=lambda s: (s.group is None, s.group or 0, s.kind != "gold", s.span))


def boundaries(span: UnitSpan, blank: Sequence[bool]) -> list[UnitSpan]:
    """Return spans of the same type that overlap a span and have other edges.

    One edge moved by up to ``MOST_MOVED`` units either way, both halves, both edges moved out or in by up to
    ``MOST_MOVED`` units. None begins or ends with white space.
    """
    first, last, middle = span.first, span.last, (span.first + span.last) // 2
    moves = range(1, MOST_MOVED + 1)
    edges = [(first + d * sign, last) for d in moves for sign in (-1, 1)]
    edges += [(first, last + d * sign) for d in moves for sign in (-1, 1)]
    edges += [(first, middle), (middle, last)]
    edges += [(first - d, last + e) for d in moves for e in moves if d + e <= MOST_MOVED]
    edges += [(first + d, last - e) for d in moves for e in moves if d + e <= MOST_MOVED]
    return [
        UnitSpan(a, b, span.type)
        for a, b in dict.fromkeys(edges)
        if 0 <= a < b <= len(blank) and a < last and b > first and not blank[a] and not blank[b - 1]
        if (a, b) != (first, last)
    ]


def find_repeats(units: Sequence[str], gold: Collection[UnitSpan], lexicon: Lexicon) -> list[UnitSpan]:
    """Find places where a string stands that is annotated elsewhere and is not annotated here.

    Args:
        units: The sentence's units without their white space.
        gold: Its gold mentions.
        lexicon: Annotated strings, as units, and the types they are annotated with; see ``lexicon_of``.
    """
    known = set(gold)
    found = []
    for first in range(len(units)):
        for last in range(first + 1, min(first + LONGEST_REPEAT, len(units)) + 1):
            for type_ in lexicon.get(tuple(units[first:last]), ()):
                span = UnitSpan(first, last, type_)
                if span not in known:
                    found.append(span)
    return found


def lexicon_of(sentences: Iterable[tuple[Sequence[str], Collection[UnitSpan]]]) -> dict[tuple[str, ...], set[int]]:
    """Return the annotated strings of sentences and their types; sentences are units without white space and gold."""
    lexicon: dict[tuple[str, ...], set[int]] = {}
    for units, gold in sentences:
        for span in gold:
            if span.last - span.first <= LONGEST_REPEAT:
                lexicon.setdefault(tuple(units[span.first : span.last]), set()).add(span.type)
    return lexicon


def count(samples: Iterable[Sample]) -> Counter[Kind]:
    """Count the samples of each kind."""
    return Counter(s.kind for s in samples)


def _place(span: UnitSpan, gold: Sequence[UnitSpan]) -> tuple[Kind, int | None]:
    """Return what kind of negative a span is, and its group: of several the one that it overlaps most."""
    overlaps = [(min(span.last, g.last) - max(span.first, g.first), i) for i, g in enumerate(gold)]
    same_type = [(o, -i) for o, i in overlaps if o > 0 and gold[i].type == span.type]
    if same_type:
        return "boundary", -max(same_type)[1]
    for i, g in enumerate(gold):
        if (g.first, g.last) == (span.first, span.last):
            return "type", i
    return "spurious", None


def _likely_first(span: UnitSpan, others: Sequence[UnitSpan], rng: random.Random) -> Iterator[UnitSpan]:
    """Yield spans in random order; those whose edges moved less tend to come first, as in a generator's mistakes."""
    weight = {o: 1 / (abs(o.first - span.first) + abs(o.last - span.last)) for o in others}
    yield from sorted(others, key=lambda o: rng.random() ** (1 / weight[o]), reverse=True)


def _shuffled(spans: Iterable[UnitSpan], rng: random.Random) -> list[UnitSpan]:
    ordered = sorted(set(spans))
    rng.shuffle(ordered)
    return ordered
