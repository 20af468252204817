"""Strict scores of mentions: one is right when start, end and type are those of a gold mention of its sentence.

Counts come first and all else follows from them, so what is counted apart (types, sentences, corpora) can be added.

Invariant: precision, recall and F1 lie in [0, 1]; where there is nothing to divide by they are 0, never NaN. The
order of the mentions does not matter, and a mention given twice counts once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

Span = tuple[int, int, str]  # start, end, type


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
        """Rates, and the counts in their usual names."""
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

    def to_dict(self) -> dict[str, dict]:
        """Everything, ready for JSON."""
        return {
            "micro": self.micro.to_dict(),
            "macro": self.macro,
            "by_type": {name: s.to_dict() for name, s in self.by_type.items()},
            "flat": self.flat.to_dict(),
            "nested": self.nested.to_dict(),
        }


def score(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> Scores:
    """Compare predicted with gold mentions.

    Args:
        gold: For each sentence its mentions as (start, end, type).
        predicted: The same sentences in the same order.

    Raises:
        ValueError: The two are not equally many sentences.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} sentences of gold, {len(predicted)} of prediction")
    by_type: defaultdict[str, Score] = defaultdict(Score)
    parts = {False: Score(), True: Score()}  # by whether nested
    for gold_here, predicted_here in zip(map(_nesting, gold), map(_nesting, predicted), strict=True):
        for mention, nested in predicted_here.items():
            counted = Score(predicted=1, right=int(mention in gold_here))
            by_type[mention[2]] += counted
            parts[nested] += counted
        for mention, nested in gold_here.items():
            counted = Score(gold=1, found=int(mention in predicted_here))
            by_type[mention[2]] += counted
            parts[nested] += counted
    return Scores(by_type=dict(sorted(by_type.items())), flat=parts[False], nested=parts[True])


def _nesting(mentions: Iterable[Span]) -> dict[Span, bool]:
    """The mentions of a sentence, each once, with whether it overlaps another."""
    ordered = sorted({(start, end, type_) for start, end, type_ in mentions})
    result = {}
    reach = 0  # the farthest end of the mentions before
    for i, (start, end, type_) in enumerate(ordered):
        follows = i + 1 < len(ordered) and ordered[i + 1][0] < end
        result[start, end, type_] = start < reach or follows
        reach = max(reach, end)
    return result
