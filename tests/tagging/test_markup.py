"""Rendering and reading of tagged text: what goes in comes out, and nothing a model writes does harm."""

from hypothesis import example, given
from hypothesis import strategies as st

from llmner.mentions import Mention
from llmner.tagging.markup import crossing, parse, render
from llmner.tagset import EntityType, TagSet

TAG_SET = TagSet("t", "en", (EntityType("protein", "protein", "A protein."), EntityType("dis", "疾病", "疾病。")))

# Text as it comes: brackets, quotes, combining marks, emoji, CJK, every kind of white space, control characters.
TEXTS = st.text(
    alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("[]\"'“” \t\n\u2028:é\u0301\u0327细胞病🧬Aa0⟦⟧")),
    min_size=1,
    max_size=40,
)


@st.composite
def texts_with_mentions(draw):
    """A text and mentions of it that nest within each type and are not blank at their edges."""
    text = draw(TEXTS)
    places = st.integers(0, len(text))
    mentions = []
    for type_ in ("protein", "dis"):
        spans = draw(st.sets(st.tuples(places, places), max_size=6))
        mentions += [
            Mention(a, b, type_) for a, b in sorted(spans) if a < b and not _blank(text[a]) and not _blank(text[b - 1])
        ]
    left_out = crossing(mentions)
    return text, sorted(m for i, m in enumerate(mentions) if i not in left_out)


def _blank(c: str) -> bool:
    from llmner.units import shown

    return shown(c).isspace()


@given(texts_with_mentions())
@example(("[3H]thymidine", [Mention(0, 4, "protein"), Mention(0, 13, "protein"), Mention(1, 3, "protein")]))
def test_what_is_rendered_reads_back(case):
    text, mentions = case
    reading = parse(render(text, mentions, TAG_SET), text, TAG_SET)
    assert sorted(reading.mentions) == mentions
    assert not reading.notes
    assert all(m.match == "exact" for m in reading.mentions)


def test_the_format():
    text = "Activation of the CD28 surface receptor [3H] in 肾病"
    mentions = [Mention(18, 39, "protein"), Mention(18, 22, "protein"), Mention(48, 50, "dis")]
    assert render(text, mentions, TAG_SET) == (
        "protein: Activation of the [[CD28] surface receptor] ⟦3H⟧ in 肾病\n"
        "疾病: Activation of the CD28 surface receptor ⟦3H⟧ in [肾病]"
    )
    assert render(text, [], TAG_SET) == ""
    assert parse("", text, TAG_SET).mentions == ()


def test_crossing_mentions_of_one_type_lose_the_later_and_of_two_types_none():
    text = "alpha beta gamma"
    crossed = [Mention(0, 10, "protein"), Mention(6, 16, "protein")]
    assert crossing(crossed) == [1]
    assert parse(render(text, crossed, TAG_SET), text, TAG_SET).mentions == (crossed[0],)
    two_types = [Mention(0, 10, "protein"), Mention(6, 16, "dis")]
    assert crossing(two_types) == []
    assert parse(render(text, two_types, TAG_SET), text, TAG_SET).mentions == tuple(two_types)


SOURCE = 'The "CD28" receptor binds B7-1 and the CD28 ligand.'


def surfaces(output: str) -> tuple[list[tuple[int, str, str]], dict[str, int]]:
    reading = parse(output, SOURCE, TAG_SET)
    return [(m.start, SOURCE[m.start : m.end], m.match) for m in reading.mentions], dict(reading.notes)


def test_a_drifting_copy_is_repaired_where_that_is_certain():
    # changed case and quotes
    assert surfaces("protein: the “[cd28]” receptor binds b7-1 and the cd28 ligand.") == (
        [(5, "CD28", "repaired")],
        {"repaired": 1},
    )
    # a dropped word
    assert surfaces('protein: The "CD28" receptor binds [B7-1] the CD28 ligand.') == (
        [(26, "B7-1", "repaired")],
        {"repaired": 1},
    )
    # a cut end
    assert surfaces('protein: The "[CD28] rec') == ([(5, "CD28", "repaired")], {"repaired": 1})


def test_what_is_not_certain_is_lost_and_counted():
    # One of two equal strings was dropped: which one is meant cannot be known.
    assert surfaces("protein: [CD28]") == ([], {"lost": 1})
    assert surfaces("protein: nothing of [the kind was] said") == ([], {"lost": 1})


def test_broken_lines_are_counted():
    assert surfaces("gene: The [CD28]\nno label here\n\n") == ([], {"unknown type": 1, "no label": 1})
    assert surfaces("protein: " + SOURCE.replace("B7-1", "]B7-1[") + "]") == (
        [(31, "and the CD28 ligand.", "exact")],
        {"unbalanced": 1},
    )
    assert surfaces("protein: [" + SOURCE) == ([], {"unbalanced": 1})
    assert surfaces("protein: [] " + SOURCE)[1]["empty"] == 1


@st.composite
def drifting_copies(draw):
    """A rendered text with random damage: dropped, doubled and changed pieces, brackets anywhere, lines cut."""
    text, mentions = draw(texts_with_mentions())
    output = render(text, mentions, TAG_SET)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(output)))
        cut = draw(st.integers(0, 5))
        put = draw(st.sampled_from(["", "[", "]", "\n", "疾病: ", ": ", "x", "“", output[at : at + 7].upper()]))
        output = output[:at] + put + output[at + cut :]
    return text, output


@given(drifting_copies() | st.tuples(TEXTS, st.text(max_size=60)))
def test_no_answer_raises_or_yields_a_span_outside_the_text(case):
    text, output = case
    reading = parse(output, text, TAG_SET)
    for m in reading.mentions:
        assert 0 <= m.start < m.end <= len(text)
        assert m.type in ("protein", "dis")
        assert text[m.start : m.end].strip() == text[m.start : m.end]
