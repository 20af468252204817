"""Strict scores of mentions: one is right when start, end and type are those of a gold mention of its sentence.

Counts by sentence come first and all else follows from them: they add up to the counts of any set of sentences, and
the bootstrap draws them anew.

Invariant: precision, recall and F1 lie in [0, 1]; where there is nothing to divide by they are 0, never NaN. The
order of the mentions does not matter, and a mention given twice counts once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int, str]  # start, end, type
Counts = NDArray[np.int64]  # (sentences, 4): the fields of Score in their order
Group = tuple[str, str]  # what it goes by and its name there, e.g. ("type", "protein")

ALL: Group = ("all", "all")


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of some of the mentions, and the rates that follow.

    Attributes:
        predicted: Predicted mentions.
        right: Those of them that are gold.
        gold: Gold mentions.
        found: Those of them that were predicted. Over all mentions, or all of a type, as many as ``right``.
    """

    predicted: int = 0
    right: int = 0
    gold: int = 0
    found: int = 0

    @classmethod
    def of(cls, counts: Counts) -> "Score":
        """Return the score of all sentences together."""
        return cls(*counts.sum(axis=0).tolist())

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.predicted + other.predicted,
            self.right + other.right,
            self.gold + other.gold,
            self.found + other.found,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted mentions that is right."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold mentions that was found."""
        return self.found / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        p, r = self.precision, self.recall
        return 2 * p * r / (p + r) if p + r else 0.0

    def to_dict(self) -> dict[str, float | int]:
        """Return the rates, and the counts by their usual names."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "tp": self.found,
            "fp": self.predicted - self.right,
            "fn": self.gold - self.found,
        }


@dataclass(frozen=True, slots=True)
class Scores:
    """What a comparison came to.

    Attributes:
        by_type: Score of each type that occurs in gold or prediction, by name.
        flat: Mentions that overlap no other mention of their own side in their sentence.
        nested: Mentions that overlap another one of their own side, whether inside, around, across or equal in span.
            Precision is over the predicted mentions that overlap predicted ones, recall over the gold mentions that
            overlap gold ones: the two are different mentions, so ``right`` and ``found`` may differ.
    """

    by_type: Mapping[str, Score]
    flat: Score
    nested: Score

    @property
    def micro(self) -> Score:
        """All mentions alike."""
        return sum(self.by_type.values(), Score())

    @property
    def macro(self) -> dict[str, float]:
        """Means of precision, recall and F1 over the types that occur in gold."""
        scores = [s for s in self.by_type.values() if s.gold]
        names = ("precision", "recall", "f1")
        return {name: fmean(getattr(s, name) for s in scores) if scores else 0.0 for name in names}


def score(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> Scores:
    """Compare predicted with gold mentions.

    Args:
        gold: For each sentence its mentions as (start, end, type).
        predicted: The same sentences in the same order.

    Raises:
        ValueError: The two are not equally many sentences.
    """
    counted = tally(gold, predicted, lambda _, mention, nested: (("type", mention[2]), nesting(nested)))
    scores = {group: Score.of(counts) for group, counts in sorted(counted.items())}
    return Scores(
        by_type={name: s for (by, name), s in scores.items() if by == "type"},
        flat=scores.get(nesting(False), Score()),
        nested=scores.get(nesting(True), Score()),
    )


def nesting(nested: bool) -> Group:
    """Return the group of mentions that overlap another one of their own side, or of those that do not."""
    return "nesting", "nested" if nested else "flat"


def count(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> Counts:
    """Count all mentions by sentence; what the bootstrap takes. See ``score``."""
    return tally(gold, predicted, lambda *_: (ALL,))[ALL]


def tally(
    gold: Sequence[Iterable[Span]],
    predicted: Sequence[Iterable[Span]],
    groups: Callable[[int, Span, bool], Iterable[Group]],
) -> defaultdict[Group, Counts]:
    """Count mentions by sentence, each in all groups that it belongs to.

    Args:
        gold: For each sentence its mentions as (start, end, type).
        predicted: The same sentences in the same order.
        groups: The groups of a mention, from the index of its sentence, the mention, and whether it overlaps another
            one of its own side.

    Returns:
        The counts of each group that has a mention; zeros for any other.

    Raises:
        ValueError: The two are not equally many sentences.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} sentences of gold, {len(predicted)} of prediction")
    result: defaultdict[Group, Counts] = defaultdict(lambda: np.zeros((len(gold), 4), np.int64))
    for i, sides in enumerate(zip(map(_nesting, gold), map(_nesting, predicted), strict=True)):
        for there, here, column in ((*sides, 0), (*sides[::-1], 2)):  # predicted and right; gold and found
            for mention, nested in here.items():
                for group in groups(i, mention, nested):
                    result[group][i, column] += 1
                    result[group][i, column + 1] += mention in there
    return result


def _nesting(mentions: Iterable[Span]) -> dict[Span, bool]:
    """Return the mentions of a sentence, each once, with whether it overlaps another."""
    ordered = sorted({(start, end, type_) for start, end, type_ in mentions})
    result = {}
    reach = 0  # the farthest end of the mentions before
    for i, (start, end, type_) in enumerate(ordered):
        follows = i + 1 < len(ordered) and ordered[i + 1][0] < end
        result[start, end, type_] = start < reach or follows
        reach = max(reach, end)
    return result
