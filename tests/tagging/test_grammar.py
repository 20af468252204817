"""Units and grammar: nothing of the text is lost, and every admitted sequence reads back."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from sentences import TEXTS, TOKENISER, VOCABULARY, annotated

from llmner.annotations import AnnotatedSentence
from llmner.mentions import Mention
from llmner.tagging.answers import mentions_of
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.grammar import MAX_DEPTH
from llmner.tagset import EntityType, TagSet
from llmner.training.corpus import writable
from llmner.units import shown, split_units

TYPES = ("aa", "ab", "b")
TAG_SET = TagSet("t", "en", tuple(EntityType(n, n, "d") for n in TYPES))


@given(TEXTS)
def test_units_are_the_text(text):
    units = split_units(shown(text))
    assert "".join(units) == shown(text)
    assert len(shown(text)) == len(text)
    assert all(units)
    source = TOKENISER(text)
    assert all(unit_tokens for unit_tokens in (TOKENISER.encode(unit) for unit in units))
    if not any(unicodedata.category(c) == "Cf" for c in text):
        assert len(source.tokens) == 2 * len(text)
    assert source.offsets[-1] == len(text)
    assert [u for u in source.unit_at if u >= 0] == list(range(len(units) + 1))


def test_invisible_characters_belong_to_their_word_and_are_not_shown():
    assert split_units("As\u200bpi\u200brin he\u00adlped (\ufeffwar\ufefffarin\u2060). 1\u200b2") == [
        "As\u200bpi\u200brin", " he\u00adlped", " (\ufeff", "war\ufefffarin\u2060", ")", ".", " 1\u200b2",
    ]  # fmt: skip
    assert TOKENISER("As\u200bpirin").tokens == TOKENISER("Aspirin").tokens
    assert TOKENISER("\u200b").tokens != ()


def test_full_width_letters_are_shown_as_ascii():
    assert shown("Ａｓｐｉｒｉｎ　１０ｍｇ，［ｘ］") == "Aspirin　10mg，［x］"


def test_units_break_where_mentions_do():
    assert split_units("IL-2R α5β1, p53 and E. coli") == [
        "IL", "-", "2", "R", " α", "5", "β", "1", ",", " p", "53", " and", " E", ".", " coli",
    ]  # fmt: skip
    assert split_units("急性 心梗HbA1c") == ["急", "性", " 心", "梗", "HbA", "1", "c"]
    assert split_units("cafe\u0301  x") == ["cafe\u0301", " ", " x"]


@given(annotated(TYPES))
@example(AnnotatedSentence("\x1b0", (Mention(0, 2, "aa"), Mention(1, 2, "aa"))))
@example(AnnotatedSentence("00AA", (Mention(2, 4, "aa"), Mention(3, 4, "aa"))))
def test_what_can_be_written_is_admitted_and_reads_back(sentence):
    source = TOKENISER(sentence.text)
    spans, left_out = writable(sentence, source, TAG_SET)
    cursor = VOCABULARY.cursor(source)
    for token in VOCABULARY.write(source, spans):
        assert token in cursor.allowed()
        cursor.advance(token)
    assert cursor.done
    read = mentions_of(cursor.tags, source, TaggingRequest(sentence.text, TAG_SET))
    # Mentions that differ only in white space at their edges are one.
    assert len(read) <= len({(m.start, m.end, m.type) for m in sentence.mentions})
    assert len(set(sentence.mentions)) - len(read) <= sum(left_out.values()) + _same_but_for_space(sentence)


def _same_but_for_space(sentence: AnnotatedSentence) -> int:
    trimmed = set()
    for m in set(sentence.mentions):
        piece = shown(sentence.text)[m.start : m.end]
        start = m.start + len(piece) - len(piece.lstrip())
        trimmed.add((start, start + len(piece.strip()), m.type))
    return len(set(sentence.mentions)) - len(trimmed)


@given(TEXTS, st.lists(st.integers(0, 11), max_size=400))
def test_any_walk_through_the_grammar_ends_in_balanced_tags(text, choices):
    source = TOKENISER(text)
    cursor = VOCABULARY.cursor(source)
    written = []
    steps = iter(choices)
    while not cursor.done:
        allowed = cursor.allowed()
        assert len(set(allowed)) == len(allowed) > 0
        token = allowed[next(steps, 0) % len(allowed)]
        drafted = cursor.draft(7)
        twin = cursor.copy()
        for t in drafted:  # a draft may always be written
            assert t in twin.allowed()
            twin.advance(t)
        written.append(token)
        cursor.advance(token)
        assert len(written) < 20 * (len(text) + 5) * MAX_DEPTH
    copied = [t for t in written if t >= 50]
    lines = written.count(VOCABULARY.newline)
    assert copied == list(source.tokens) * lines
    depth = 0
    for t in written:
        depth += (t == VOCABULARY.open) - (t == VOCABULARY.close)
        assert 0 <= depth <= MAX_DEPTH
        assert depth == 0 or t != VOCABULARY.newline
    for m in mentions_of(cursor.tags, source, TaggingRequest(text, TAG_SET)):
        assert text[m.start : m.end].strip() == text[m.start : m.end] != ""
