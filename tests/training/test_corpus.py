"""Examples in numbers, and the batches of a run."""

from itertools import pairwise

import numpy as np
import pytest

from llmner.tagging.lines import LinesVocabulary
from llmner.training.corpus import balanced, batches, collate, drawn, example, plan
from llmner.units import UnitTokeniser

TOKENISER = UnitTokeniser(lambda text: [100 + ord(c) for c in text])
VOCABULARY = LinesVocabulary(heads=((10,), (11,)), open=1, close=2, newline=3, end=4)


def written(text, spans, tag_set="a"):
    source = TOKENISER(text)
    return example(tag_set, [*source.tokens, 7], VOCABULARY.write(source, spans), VOCABULARY.cursor(source))


def examples(lengths, tag_set="a"):
    return [written("x" * n, {}, tag_set) for n in lengths]


def test_an_example_writes_the_tags_and_marks_every_choice():
    """``x y`` with ``y`` tagged: the prompt, the line of the second type with its tags, and the end."""
    e = written("x y", {1: [(1, 2)]})
    x, space, y = (100 + ord(c) for c in "x y")
    assert e.tokens.tolist() == [x, space, y, 7, 11, x, 1, space, y, 2, 3, 4]
    assert e.answer == 4
    assert e.fed == 11
    bounds = np.cumsum([0, *e.counts]).tolist()
    allowed = [e.allowed[a:b].tolist() for a, b in pairwise(bounds)]
    # Which line; then before x and before y the copy or an opening tag (in the tag only a copy may come first).
    # After the line of the last type nothing but the end may follow.
    assert allowed[0] == [4, 10, 11]
    for place, choice, tokens in zip(e.places, e.chosen, allowed, strict=True):
        assert tokens[choice] == e.tokens[place + 1]


def test_a_batch_packs_examples_behind_their_prefix():
    two = [written("x y", {0: [(0, 1)]}), written("z", {})]
    batch = collate(two, (50, 51, 52))
    assert batch["tokens"].tolist() == [[50, 51, 52, *two[0].tokens[:-1], *two[1].tokens[:-1]]]
    assert batch["lengths"] == [e.fed for e in two]
    packed = batch["tokens"][0]
    for place, columns, chosen in zip(batch["places"], batch["allowed"], batch["chosen"], strict=True):
        following = 4 if place + 1 in (3 + two[0].fed, len(packed)) else packed[place + 1]
        assert batch["words"][columns[chosen]] == following
        assert columns[chosen] >= 0
    assert batch["answers"].tolist() == [*two[0].tokens[two[0].answer :], *two[1].tokens[two[1].answer :]]
    for place, answer in zip(batch["answer_places"], batch["answers"], strict=True):
        assert answer == (4 if place + 1 in (3 + two[0].fed, len(packed)) else packed[place + 1])


def test_batches_hold_every_example_once_and_one_tag_set_each():
    both = [e for n in range(1, 40) for t in ("a", "b") for e in examples([n], t)]
    everyone = range(len(both))
    epoch = batches(both, everyone, tokens=100, seed=1)
    assert sorted(i for batch in epoch for i in batch) == list(everyone)
    for batch in epoch:
        assert len({both[i].tag_set for i in batch}) == 1
        assert sum(both[i].fed for i in batch) <= 100 or len(batch) == 1
    assert batches(both, everyone, tokens=100, seed=1) == epoch
    assert batches(both, everyone, tokens=100, seed=2) != epoch


def test_weights_say_how_often_a_sentence_is_seen():
    epoch = drawn([10, 4], [0.5, 2.25], seed=1)
    first, second = [i for i in epoch if i < 10], [i for i in epoch if i >= 10]
    assert len(first) == len(set(first)) == 5
    assert {i: second.count(i) for i in second}.keys() == {10, 11, 12, 13}
    assert sorted(second.count(i) for i in set(second)) == [2, 2, 2, 3]
    assert drawn([10, 4], [0.5, 2.25], seed=2) != epoch


def test_balanced_weights_give_each_language_as_many_tokens():
    tokens = [100, 300, 50]
    weights = balanced([1, 0.5, 1], tokens, ["en", "en", "zh"])
    en, zh = weights[0] * 100 + weights[1] * 300, weights[2] * 50
    assert en == pytest.approx(zh)
    assert en + zh == pytest.approx(100 + 150 + 50)
    assert weights[0] / weights[1] == pytest.approx(2)


def test_a_plan_is_epochs_one_after_another():
    some = examples(range(1, 40))
    kwargs = {"tokens": 100, "seed": 1}
    two = plan(some, [39], [1.0], **kwargs, count=None, epochs=2)
    seen = [i for batch in two for i in batch]
    assert sorted(seen) == sorted([*range(39)] * 2)
    assert plan(some, [39], [1.0], **kwargs, count=5, epochs=None) == two[:5]
    half = plan(some, [39], [1.0], **kwargs, count=None, epochs=0.5)
    assert half == two[: len(half)]
    assert len(half) == pytest.approx(len(two) / 4, abs=1)
