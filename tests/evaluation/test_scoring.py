import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.evaluation.scoring import Score, count, score, tally

spans = st.builds(
    lambda start, length, type_: (start, start + length, type_),
    st.integers(0, 8),
    st.integers(1, 5),
    st.sampled_from(["DNA", "protein", "cell"]),
)
sentences = st.lists(st.lists(spans, max_size=6), max_size=4)


def test_counts_by_hand():
    gold = [
        [(0, 10, "protein"), (0, 4, "protein"), (20, 24, "DNA")],  # the first two nested
        [(3, 9, "cell")],
        [],
    ]
    predicted = [
        [(0, 10, "protein"), (20, 24, "protein")],  # outer found, inner missed, wrong type
        [(3, 9, "cell"), (5, 12, "DNA")],  # the cell is right and overlaps a spurious mention
        [(0, 2, "DNA")],  # spurious
    ]
    result = score(gold, predicted)

    assert result.micro == Score(predicted=5, right=2, gold=4, found=2)
    assert result.micro.precision == pytest.approx(2 / 5)
    assert result.micro.recall == pytest.approx(2 / 4)
    assert result.micro.f1 == pytest.approx(4 / 9)
    assert result.by_type == {
        "DNA": Score(predicted=2, right=0, gold=1, found=0),
        "cell": Score(predicted=1, right=1, gold=1, found=1),
        "protein": Score(predicted=2, right=1, gold=2, found=1),
    }
    assert result.macro["precision"] == pytest.approx((0 + 1 + 1 / 2) / 3)
    assert result.macro["recall"] == pytest.approx((0 + 1 + 1 / 2) / 3)
    assert result.macro["f1"] == pytest.approx((0 + 1 + 1 / 2) / 3)
    # The cell is nested among the predictions and flat in gold.
    assert result.nested == Score(predicted=2, right=1, gold=2, found=1)
    assert result.flat == Score(predicted=3, right=1, gold=2, found=1)
    assert result.micro.to_dict() == {
        "precision": 2 / 5,
        "recall": 1 / 2,
        "f1": pytest.approx(4 / 9),
        "tp": 2,
        "fp": 3,
        "fn": 2,
    }


def test_macro_leaves_out_types_that_gold_lacks():
    result = score([[(0, 1, "DNA")]], [[(0, 1, "DNA"), (2, 3, "cell")]])
    assert result.macro == {"precision": 1, "recall": 1, "f1": 1}
    assert result.micro.precision == 1 / 2
    assert result.by_type["cell"] == Score(predicted=1)


def test_a_boundary_off_by_one_and_another_sentence_are_wrong():
    assert score([[(0, 5, "DNA")]], [[(0, 4, "DNA")]]).micro == Score(predicted=1, gold=1)
    assert score([[(0, 5, "DNA")], []], [[], [(0, 5, "DNA")]]).micro == Score(predicted=1, gold=1)


@pytest.mark.parametrize(
    ("mentions", "nested"),
    [
        ([(0, 4, "a"), (4, 8, "a")], 0),  # they touch
        ([(0, 4, "a"), (0, 4, "b")], 2),  # equal spans
        ([(0, 9, "a"), (1, 2, "a"), (5, 6, "a")], 3),  # the last overlaps only the first
        ([(0, 5, "a"), (3, 8, "b"), (8, 9, "a")], 2),  # they cross
    ],
)
def test_nested_means_overlapping_another(mentions, nested):
    result = score([mentions], [[]])
    assert result.nested.gold == nested
    assert result.flat.gold == len(mentions) - nested


def test_a_mention_given_twice_counts_once_and_does_not_overlap_itself():
    twice = [[(0, 4, "DNA"), (0, 4, "DNA")]]
    assert score(twice, twice).flat == Score(predicted=1, right=1, gold=1, found=1)


def test_unequal_numbers_of_sentences_are_refused():
    with pytest.raises(ValueError, match="2 sentences of gold, 1"):
        score([[], []], [[]])


@given(sentences)
def test_perfect_is_one_and_nothing_is_zero(gold):
    some = any(gold)
    perfect = score(gold, gold)
    assert (perfect.micro.f1, perfect.macro["f1"]) == ((1, 1) if some else (0, 0))
    empty = [[] for _ in gold]
    for result in (score(gold, empty), score(empty, gold)):
        assert (result.micro.f1, result.macro["f1"], result.flat.f1, result.nested.f1) == (0, 0, 0, 0)


@given(sentences, sentences, st.randoms())
def test_rates_are_finite_and_order_does_not_matter(gold, predicted, rng: random.Random):
    size = min(len(gold), len(predicted))
    gold, predicted = gold[:size], predicted[:size]
    result = score(gold, predicted)
    for part in (result.micro, result.flat, result.nested, *result.by_type.values()):
        assert all(0 <= rate <= 1 for rate in (part.precision, part.recall, part.f1))
    order = rng.sample(range(size), size)
    shuffled = score(
        [rng.sample(gold[i], len(gold[i])) for i in order], [rng.sample(predicted[i], len(predicted[i])) for i in order]
    )
    assert shuffled == result


@given(sentences)
def test_flat_and_nested_add_up_to_all(gold):
    result = score(gold, gold[::-1])
    assert result.flat + result.nested == result.micro
    assert result.micro.right == result.micro.found


@given(sentences, st.data())
def test_counts_by_sentence_add_up_to_the_score(gold, data):
    predicted = data.draw(st.lists(st.lists(spans, max_size=6), min_size=len(gold), max_size=len(gold)))
    assert Score.of(count(gold, predicted)) == score(gold, predicted).micro
    by_sentence = [score([g], [p]).micro for g, p in zip(gold, predicted, strict=True)]
    assert [Score(*row) for row in count(gold, predicted).tolist()] == by_sentence


def test_a_mention_counts_in_each_of_its_groups():
    def groups(sentence, mention, nested):
        return ("sentence", str(sentence)), ("length", str(mention[1] - mention[0]))

    counted = tally([[(0, 2, "DNA")], [(1, 3, "DNA")]], [[(0, 2, "DNA")], [(0, 3, "DNA")]], groups)
    assert {group: counts.tolist() for group, counts in counted.items()} == {
        ("sentence", "0"): [[1, 1, 1, 1], [0, 0, 0, 0]],
        ("sentence", "1"): [[0, 0, 0, 0], [1, 0, 1, 0]],
        ("length", "2"): [[1, 1, 1, 1], [0, 0, 1, 0]],
        ("length", "3"): [[0, 0, 0, 0], [1, 0, 0, 0]],
    }
