"""Samples for the selector: no negative is gold, whatever the sentence."""

from hypothesis import given
from hypothesis import strategies as st

from llmner.selection.samples import (
    MOST_MOVED,
    Quota,
    UnitSpan,
    boundaries,
    count,
    find_repeats,
    lexicon_of,
    samples,
)

TYPES = 3


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[bool], set[UnitSpan], set[UnitSpan], set[UnitSpan]]:
    """Blank flags, gold, a generator's candidates (gold ones among them) and repeats."""
    blank = draw(st.lists(st.booleans(), min_size=1, max_size=14))
    solid = [i for i, b in enumerate(blank) if not b]
    if not solid:
        return blank, set(), set(), set()
    edge = st.sampled_from(solid)
    span = st.builds(lambda a, b, t: UnitSpan(min(a, b), max(a, b) + 1, t), edge, edge, st.integers(0, TYPES - 1))
    gold = draw(st.sets(span, max_size=4))
    return blank, gold, draw(st.sets(span, max_size=5)) | set(list(gold)[:1]), draw(st.sets(span, max_size=5))


@given(sentences(), st.integers(0, 5), st.integers(0, 3), st.integers(0, 4))
def test_positives_are_the_gold_and_negatives_never_are(sentence, boundary, type_, spurious):
    blank, gold, mistakes, repeats = sentence
    quota = Quota(boundary, type_, spurious)
    made = samples(blank, gold, TYPES, mistakes=mistakes, repeats=repeats, quota=quota, seed="1")
    positives = [s for s in made if s.kind == "gold"]
    assert sorted(s.span for s in positives) == sorted(gold)
    assert [s.group for s in positives] == list(range(len(gold)))
    negatives = [s for s in made if s.kind != "gold"]
    assert not gold & {s.span for s in negatives}
    assert len({s.span for s in made}) == len(made)
    of_group = {s.group: s.span for s in positives}
    for s in negatives:
        assert 0 <= s.span.first < s.span.last <= len(blank)
        assert not blank[s.span.first]
        assert not blank[s.span.last - 1]
        if s.kind == "spurious":
            assert s.group is None
            assert not any(g.type == s.span.type and g.first < s.span.last and s.span.first < g.last for g in gold)
            assert s.span in mistakes | repeats
        else:
            rival = of_group[s.group]
            same_place = (rival.first, rival.last) == (s.span.first, s.span.last)
            assert (s.kind == "type") == same_place == (rival.type != s.span.type)
    for group in of_group:
        kinds = count(s for s in made if s.group == group)
        assert kinds["gold"] == 1
        assert kinds["boundary"] <= boundary
        assert kinds["type"] <= type_
    assert count(made)["spurious"] <= spurious


@given(sentences())
def test_the_seed_decides(sentence):
    blank, gold, mistakes, repeats = sentence
    first = samples(blank, gold, TYPES, mistakes=mistakes, repeats=repeats, seed="a")
    assert samples(blank, set(gold), TYPES, mistakes=mistakes, repeats=repeats, seed="a") == first
    # With room for all of them every seed gives the same negatives.
    all_of_them = Quota(99, 99, 99)
    one, other = (samples(blank, gold, TYPES, mistakes=mistakes, quota=all_of_them, seed=s) for s in "ab")
    assert {s.span for s in one} == {s.span for s in other}
    assert mistakes <= {s.span for s in one}


def test_seeds_differ():
    blank, gold = [False] * 20, {UnitSpan(8, 12, 0)}
    made = {tuple(samples(blank, gold, TYPES, seed=str(i))) for i in range(20)}
    assert len(made) > 10


def test_boundaries_are_what_they_are_called():
    blank = [False] * 10
    blank[2] = True
    around = {(s.first, s.last) for s in boundaries(UnitSpan(3, 7, 1), blank)}
    assert {(4, 7), (5, 7), (6, 7), (3, 6), (3, 4), (3, 8), (3, 9), (3, 10), (1, 7), (0, 7)} <= around
    assert {(3, 5), (5, 7)} <= around, "the halves"
    assert {(1, 8), (4, 6), (5, 6), (4, 5)} <= around, "around and inside"
    assert not {(2, 7), (2, 8)} & around, "unit 2 is white space"
    assert (3, 7) not in around
    assert all(abs(a - 3) <= MOST_MOVED and abs(b - 7) <= MOST_MOVED for a, b in around)


def test_a_generators_mistakes_come_first_and_find_their_rivals():
    blank = [False] * 30
    gold = {UnitSpan(2, 4, 0), UnitSpan(3, 8, 0), UnitSpan(20, 21, 1)}
    near, other_type, far = UnitSpan(3, 9, 0), UnitSpan(20, 21, 2), UnitSpan(25, 27, 0)
    made = samples(blank, gold, TYPES, mistakes={near, other_type, far}, quota=Quota(1, 1, 1), seed="x")
    placed = {s.span: (s.kind, s.group) for s in made}
    assert placed[near] == ("boundary", 1), "it overlaps the second mention most"
    assert placed[other_type] == ("type", 2)
    assert placed[far] == ("spurious", None)
    assert sum(s.kind == "boundary" for s in made) == 3, "one for each mention"


def test_repeats_are_annotated_elsewhere_and_not_here():
    annotated = (["gold", "salts", "for", "gout"], {UnitSpan(0, 2, 0), UnitSpan(3, 4, 1)})
    lexicon = lexicon_of([annotated])
    assert lexicon == {("gold", "salts"): {0}, ("gout",): {1}}
    units = ["gout", "after", "gold", "salts", "and", "gold"]
    assert find_repeats(units, {UnitSpan(0, 1, 1)}, lexicon) == [UnitSpan(2, 4, 0)]
    assert find_repeats(*annotated, lexicon) == []


def test_a_kind_is_left_out_by_its_quota():
    gold = {UnitSpan(4, 6, 0)}
    mistakes = {UnitSpan(4, 7, 0), UnitSpan(4, 6, 1), UnitSpan(9, 10, 1)}
    for left_out in ("boundary", "type", "spurious"):
        quota = Quota(**{"boundary": 2, "type": 2, "spurious": 2, left_out: 0})
        kinds = count(samples([False] * 12, gold, TYPES, mistakes=mistakes, quota=quota, seed="s"))
        assert kinds[left_out] == 0
        assert all(kinds[k] for k in ("boundary", "type", "spurious") if k != left_out)
