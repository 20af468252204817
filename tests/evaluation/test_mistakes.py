import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.evaluation.mistakes import Frequent, Mistake, mistakes, most_frequent
from llmner.evaluation.scoring import score

spans = st.builds(
    lambda start, length, type_: (start, start + length, type_),
    st.integers(0, 8),
    st.integers(1, 5),
    st.sampled_from(["DNA", "protein", "cell"]),
)
sentence = st.lists(spans, max_size=6)


@pytest.mark.parametrize(
    ("gold", "predicted", "kind"),
    [
        ((0, 5, "DNA"), (0, 5, "RNA"), "type"),
        ((0, 5, "DNA"), (0, 4, "DNA"), "boundary"),
        ((0, 5, "DNA"), (3, 9, "DNA"), "boundary"),
        ((0, 5, "DNA"), (3, 9, "RNA"), "boundary and type"),
    ],
)
def test_an_overlapping_pair_is_one_mistake(gold, predicted, kind):
    assert mistakes([gold], [predicted]) == [Mistake(kind, gold, predicted)]


def test_mentions_that_touch_no_other_are_missed_or_spurious():
    made = mistakes([(0, 5, "DNA")], [(5, 9, "DNA")])
    assert made == [Mistake("missed", (0, 5, "DNA"), None), Mistake("spurious", None, (5, 9, "DNA"))]


def test_what_was_found_is_no_partner():
    assert mistakes([(0, 5, "DNA")], [(0, 5, "DNA"), (0, 4, "DNA")]) == [Mistake("spurious", None, (0, 4, "DNA"))]


def test_of_several_partners_the_one_with_the_most_in_common():
    outer, inner = (0, 20, "DNA"), (0, 4, "DNA")
    assert mistakes([outer, inner], [(0, 5, "DNA")]) == [
        Mistake("boundary", inner, (0, 5, "DNA")),
        Mistake("missed", outer, None),
    ]
    same_span, same_type = (0, 4, "RNA"), (0, 5, "DNA")
    assert mistakes([inner], [same_type, same_span])[0] == Mistake("type", inner, same_span)


@given(sentence, sentence)
def test_every_mention_is_right_or_in_exactly_one_mistake(gold, predicted):
    made = mistakes(gold, predicted)
    assert sorted(m.gold for m in made if m.gold) == sorted(set(gold) - set(predicted))
    assert sorted(m.predicted for m in made if m.predicted) == sorted(set(predicted) - set(gold))
    for m in made:
        assert (m.gold is None, m.predicted is None) == (m.kind == "spurious", m.kind == "missed")
    counts = score([gold], [predicted]).micro.to_dict()
    assert sum(m.kind != "missed" for m in made) == counts["fp"]
    assert sum(m.kind != "spurious" for m in made) == counts["fn"]


@given(sentence, sentence, st.randoms())
def test_order_does_not_matter_and_sides_are_alike(gold, predicted, rng):
    made = mistakes(gold, predicted)
    assert mistakes(rng.sample(gold, len(gold)), rng.sample(predicted, len(predicted))) == made
    swapped = mistakes(predicted, gold)
    assert len(swapped) == len(made)


def test_frequent_mistakes_are_the_same_words_with_the_same_types():
    texts = ["the CD28 gene", "a CD28 gene", "CD4 and CD28", "none"]
    made = [
        [Mistake("type", (4, 8, "DNA"), (4, 8, "protein"))],
        [Mistake("type", (2, 6, "DNA"), (2, 6, "protein"))],
        [Mistake("type", (0, 3, "DNA"), (0, 3, "protein")), Mistake("missed", (8, 12, "DNA"), None)],
        [],
    ]
    assert most_frequent(texts, made) == [
        Frequent(2, 0, made[0][0]),
        Frequent(1, 2, made[2][0]),
        Frequent(1, 2, made[2][1]),
    ]
    assert most_frequent(texts, made, limit=1) == [Frequent(2, 0, made[0][0])]
