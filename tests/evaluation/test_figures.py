import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmner.evaluation.figures import figures
from llmner.evaluation.scoring import Score, score

TYPES = ("DNA", "protein", "cell")
spans = st.builds(
    lambda start, length, type_: (start, start + length, type_),
    st.integers(0, 8),
    st.integers(1, 12),
    st.sampled_from(TYPES),
)
sentence = st.tuples(
    st.text(alphabet="ab 1-细胞[\n", min_size=20, max_size=60), st.lists(spans, max_size=6), st.lists(spans, max_size=6)
)
corpora = st.lists(sentence, min_size=1, max_size=6).map(lambda rows: tuple(zip(*rows, strict=True)))


@settings(max_examples=30)
@given(corpora)
def test_each_breakdown_adds_up_to_all(corpus):
    made = figures(*corpus, TYPES)
    assert made.all.score == score(*corpus[1:]).micro
    for by, groups in made.by.items():
        assert sum((m.score for m in groups.values()), Score()) == made.all.score, by
    counts = made.all.score.to_dict()
    kinds = [kind for of_type in made.mistakes.values() for kind in of_type.elements()]
    assert sum(kind != "missed" for kind in kinds) == counts["fp"]
    assert sum(kind != "spurious" for kind in kinds) == counts["fn"]
    written = made.to_dict(corpus[0])
    assert json.loads(json.dumps(written)) == written


def test_lengths_are_counted_in_units():
    texts = ["IL-2 in T cells", "急性肺炎患者"]
    gold = [[(0, 4, "protein"), (8, 15, "cell")], [(0, 4, "DNA")]]
    made = figures(texts, gold, gold, TYPES)
    assert {name: m.score.gold for name, m in made.by["mention length"].items()} == {"2": 1, "3": 1, "4–5": 1}
    assert {name: m.score.gold for name, m in made.by["sentence length"].items()} == {"1–10": 3}
    assert list(made.by["type"]) == ["DNA", "protein", "cell"]
    assert list(made.by["nesting"]) == ["flat"]


def test_no_mentions_make_figures_too():
    made = figures(["nothing"], [[]], [[]], TYPES)
    assert made.all.score == Score()
    assert made.all.intervals.f1.high == 0
    assert made.frequent == []


def test_frequent_mistakes_carry_their_sentence():
    written = figures(["the CD28 gene"], [[(4, 8, "DNA")]], [[(4, 13, "DNA")]], TYPES).to_dict(["the CD28 gene"])
    assert written["frequent_mistakes"] == [
        {
            "times": 1,
            "kind": "boundary",
            "gold": {"start": 4, "end": 8, "type": "DNA", "text": "CD28"},
            "predicted": {"start": 4, "end": 13, "type": "DNA", "text": "CD28 gene"},
            "sentence": "the CD28 gene",
        }
    ]
    assert written["mistakes"]["DNA"]["boundary"] == 1


@pytest.mark.parametrize("sentences", [5000])
def test_a_dev_set_takes_no_time(sentences):
    texts = ["the CD28 gene of T cells, measured in a sentence of the usual length of some thirty units"] * sentences
    gold = [[(4, 8, "protein"), (4, 13, "DNA"), (17, 24, "cell")]] * sentences
    predicted = [[(4, 8, "DNA"), (4, 13, "DNA"), (17, 20, "cell"), (26, 34, "cell")][i % 4 :] for i in range(sentences)]
    started = time.process_time()
    figures(texts, gold, predicted, TYPES)
    assert time.process_time() - started < 4
