"""How far a score is from chance: percentile bootstrap over sentences.

A resample draws as many sentences as there are, with replacement, and is scored whole (Efron and Tibshirani 1993,
chapters 13 and 16; for two systems Berg-Kirkpatrick, Burkett and Klein 2012). Sentences of one document are drawn as
if they had nothing to do with each other, which makes intervals somewhat narrow.

Invariant: the same counts give the same intervals: the draw is seeded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmner.evaluation.scoring import Counts, Score

TIMES = 1000
_SEED = 0
_TAIL = 2.5  # percent left out at either end


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % interval of a rate or of a difference of rates."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals of the three rates of a score."""

    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a second system compares with a first one on the same sentences.

    Attributes:
        difference: F1 of the second less F1 of the first.
        interval: 95 % interval of it.
        p: Two-sided: twice the share of resamples in which the difference is 0 or has the other sign, at most 1.
    """

    difference: float
    interval: Interval
    p: float


class Resamples:
    """Draws of sentences, made once for all groups of mentions of a corpus.

    Args:
        sentences: How many there are, at least one.
        times: Resamples to draw.
    """

    def __init__(self, sentences: int, *, times: int = TIMES) -> None:
        rng = np.random.default_rng(_SEED)
        # (times, sentences): how often each sentence is drawn. Small whole numbers, exact in float32.
        self._weights = np.empty((times, sentences), np.float32)
        for row in self._weights:
            row[:] = np.bincount(rng.integers(0, sentences, sentences), minlength=sentences)

    def rates(self, counts: Counts) -> NDArray[np.float64]:
        """Return precision, recall and F1 of each resample.

        Args:
            counts: (sentences, 4), see ``scoring``.

        Returns:
            (3, times); 0 where there is nothing to divide by.
        """
        predicted, right, gold, found = (self._weights @ counts.astype(np.float32)).astype(np.float64).T
        precision, recall = _ratio(right, predicted), _ratio(found, gold)
        return np.stack([precision, recall, _ratio(2 * precision * recall, precision + recall)])

    def intervals(self, counts: Counts) -> Intervals:
        """Return 95 % intervals of precision, recall and F1."""
        return Intervals(*(_interval(rate) for rate in self.rates(counts)))


def intervals(counts: Counts, *, times: int = TIMES) -> Intervals:
    """Return 95 % intervals of precision, recall and F1.

    Args:
        counts: Of at least one sentence, see ``scoring.count``.
        times: Resamples to draw.
    """
    return Resamples(len(counts), times=times).intervals(counts)


def compare(first: Counts, second: Counts, *, times: int = TIMES) -> Comparison:
    """Compare two systems by F1; both are scored on the same draws.

    Args:
        first: Counts of one, see ``scoring.count``; of at least one sentence.
        second: Counts of the other, of the same sentences in the same order.
        times: Resamples to draw.

    Raises:
        ValueError: Not the same number of sentences, or other gold mentions.
    """
    if first.shape != second.shape or not np.array_equal(first[:, 2], second[:, 2]):
        raise ValueError("the two systems were not measured on the same sentences")
    resamples = Resamples(len(first), times=times)
    differences = resamples.rates(second)[2] - resamples.rates(first)[2]
    # The draw that is the data itself counts too, so that p is never 0.
    tail = 1 + min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return Comparison(
        difference=Score.of(second).f1 - Score.of(first).f1,
        interval=_interval(differences),
        p=min(1.0, 2 * tail / (times + 1)),
    )


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
    return Interval(float(low), float(high))
