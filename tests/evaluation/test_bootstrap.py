import time
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.evaluation.bootstrap import Interval, Resamples, compare, intervals
from llmner.evaluation.scoring import Score, count

# A sentence's counts: gold and predicted mentions, and those that agree.
sentence = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)).map(
    lambda n: (n[0], min(n), n[1], min(n))
)
corpora = st.lists(sentence, min_size=1, max_size=30).map(lambda rows: np.array(rows, np.int64))


def corpus(right: float, *, sentences: int, seed: int) -> np.ndarray:
    """One gold and one predicted mention a sentence, right with a probability."""
    hits = np.random.default_rng(seed).random(sentences) < right
    ones = np.ones(sentences, np.int64)
    return np.stack([ones, hits, ones, hits], axis=1).astype(np.int64)


@given(corpora)
def test_intervals_are_ordered_rates_and_the_same_each_time(counts):
    made = intervals(counts, times=50)
    for interval in (made.precision, made.recall, made.f1):
        assert 0 <= interval.low <= interval.high <= 1
    assert intervals(counts, times=50) == made


@given(corpora)
def test_rates_of_a_resample_are_the_scores_of_its_sentences(counts):
    resamples = Resamples(len(counts), times=5)
    drawn = [np.repeat(counts, weights.astype(int), axis=0) for weights in resamples._weights]
    assert all(len(d) == len(counts) for d in drawn)
    expected = [(s.precision, s.recall, s.f1) for s in map(Score.of, drawn)]
    np.testing.assert_allclose(resamples.rates(counts).T, expected)


def test_sentences_that_are_all_alike_leave_no_doubt():
    assert intervals(np.array([[2, 1, 4, 1]] * 20)).f1 == Interval(*[pytest.approx(1 / 3)] * 2)
    assert intervals(np.zeros((5, 4), np.int64)).f1 == Interval(0, 0)


def test_interval_of_a_share_is_as_wide_as_theory_has_it():
    counts = corpus(0.8, sentences=400, seed=1)
    share = Score.of(counts).precision
    half = NormalDist().inv_cdf(0.975) * (share * (1 - share) / len(counts)) ** 0.5
    interval = intervals(counts, times=4000).precision
    assert interval.low == pytest.approx(share - half, abs=0.006)
    assert interval.high == pytest.approx(share + half, abs=0.006)


def test_comparison_sees_a_difference_and_none():
    first, better, alike = (corpus(right, sentences=500, seed=s) for right, s in ((0.7, 1), (0.85, 2), (0.7, 3)))
    won = compare(first, better)
    assert won.difference == pytest.approx(Score.of(better).f1 - Score.of(first).f1)
    assert 0 < won.interval.low < won.difference < won.interval.high
    assert won.p < 0.01
    lost = compare(better, first)
    assert (lost.difference, lost.interval.low) == (-won.difference, pytest.approx(-won.interval.high))
    undecided = compare(first, alike)
    assert undecided.interval.low < 0 < undecided.interval.high
    assert undecided.p > 0.05


def test_comparison_is_paired():
    first = corpus(0.5, sentences=300, seed=1)
    better = first.copy()
    better[np.flatnonzero(first[:, 1] == 0)[:10], 1::2] = 1  # ten sentences more, all else the same
    won = compare(first, better)
    assert won.p < 0.01
    alone = intervals(first).f1
    assert won.interval.high - won.interval.low < (alone.high - alone.low) / 2


def test_a_system_is_no_better_than_itself():
    counts = corpus(0.5, sentences=50, seed=1)
    same = compare(counts, counts)
    assert (same.difference, same.interval, same.p) == (0, Interval(0, 0), 1)


def test_other_sentences_are_refused():
    with pytest.raises(ValueError, match="not measured on the same sentences"):
        compare(count([[]], [[]]), count([[], []], [[], []]))
    with pytest.raises(ValueError, match="not measured on the same sentences"):
        compare(count([[]], [[]]), count([[(0, 1, "DNA")]], [[]]))


def test_a_dev_set_takes_no_time():
    counts = corpus(0.8, sentences=5000, seed=1)
    started = time.process_time()
    resamples = Resamples(len(counts))
    for _ in range(40):
        resamples.intervals(counts)
    assert time.process_time() - started < 2
