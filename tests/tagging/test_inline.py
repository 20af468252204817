"""The layout with one line for all types: every admitted sequence reads back, and decoding it equals step by step."""

from hypothesis import example, given
from hypothesis import strategies as st
from sentences import INLINE_VOCABULARY, TEXTS, TOKENISER, annotated

from llmner.annotations import AnnotatedSentence
from llmner.mentions import Mention
from llmner.tagging import prompts
from llmner.tagging.answers import mentions_of
from llmner.tagging.codec import Codec
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.grammar import MAX_DEPTH
from llmner.tagging.layouts import LAYOUTS
from llmner.tagging.markup import parse
from llmner.tagging.prompts import Form
from llmner.tagset import EntityType, TagSet
from llmner.training.corpus import writable

TYPES = ("aa", "a", "b")
TAG_SET = TagSet("t", "en", tuple(EntityType(n, n, "d") for n in TYPES))


@given(annotated(TYPES))
def test_what_can_be_written_is_admitted_and_reads_back(sentence):
    source = TOKENISER(sentence.text)
    spans, _ = writable(sentence, source, TAG_SET, one_line=True)
    cursor = INLINE_VOCABULARY.cursor(source)
    for token in INLINE_VOCABULARY.write(source, spans):
        assert token in cursor.allowed()
        cursor.advance(token)
    assert cursor.done
    assert sorted((t.first, t.last, t.type) for t in cursor.tags) == sorted(
        (first, last, type_) for type_, found in spans.items() for first, last in found
    )


@given(annotated(TYPES), st.booleans())
@example(AnnotatedSentence("0\xad", (Mention(0, 2, "aa"),)), False)  # the soft hyphen is not shown
@example(AnnotatedSentence("a\xadb \u200bc", (Mention(0, 3, "aa"), Mention(4, 6, "b"))), False)
def test_an_answer_reads_back_as_text(sentence, drifts):
    """A free answer has no cursor; a copy that lost a space is aligned with the text."""
    source = TOKENISER(prompts.sentence(sentence.text, Form(layout="inline")))
    spans, _ = writable(sentence, source, TAG_SET, one_line=True)
    cursor = INLINE_VOCABULARY.cursor(source)
    tokens = INLINE_VOCABULARY.write(source, spans)
    for token in tokens:
        cursor.advance(token)
    known = {1: "[", 2: "]", 3: "|", 4: "", 10: "a", 11: "a", 13: "b", 50: ""}
    answer = "".join(known[t] if t in known else chr(t - 100) for t in tokens)
    expected = mentions_of(cursor.tags, source, TaggingRequest(sentence.text, TAG_SET))
    reading = parse(answer.replace(" ", "", drifts), sentence.text, TAG_SET, layout=LAYOUTS["inline"])
    if drifts and " " in answer:
        assert {(m.start, m.end, m.type) for m in reading.mentions} <= {(m.start, m.end, m.type) for m in expected}
    else:
        assert reading.mentions == expected


def test_only_what_crosses_is_left_out_across_types():
    text = "a b c d e"
    mentions = (Mention(0, 5, "aa"), Mention(2, 7, "a"), Mention(2, 5, "b"), Mention(2, 5, "a"), Mention(8, 9, "b"))
    source = TOKENISER(text)
    spans, left_out = writable(AnnotatedSentence(text, mentions), source, TAG_SET, one_line=True)
    assert spans == {0: [(0, 3)], 1: [(1, 3)], 2: [(1, 3), (4, 5)]}
    assert left_out == {"crossing": 1}


@given(TEXTS, st.lists(st.integers(0, 11), max_size=400))
def test_any_walk_through_the_grammar_ends_in_balanced_tags(text, choices):
    source = TOKENISER(text)
    cursor = INLINE_VOCABULARY.cursor(source)
    written = []
    steps = iter(choices)
    while not cursor.done:
        allowed = cursor.allowed()
        assert len(set(allowed)) == len(allowed) > 0
        twin = cursor.copy()
        for t in cursor.draft(7):  # a draft may always be written
            assert t in twin.allowed()
            twin.advance(t)
        written.append(allowed[next(steps, 0) % len(allowed)])
        cursor.advance(written[-1])
        assert len(written) < 20 * (len(text) + 5) * MAX_DEPTH
    assert [t for t in written if t >= 50] == list(source.tokens)
    assert written.count(INLINE_VOCABULARY.open) == written.count(INLINE_VOCABULARY.bar) == len(cursor.tags)
    for m in mentions_of(cursor.tags, source, TaggingRequest(text, TAG_SET)):
        assert text[m.start : m.end].strip() == text[m.start : m.end] != ""


def test_a_written_answer_is_the_text_with_typed_brackets(tokenizer):
    codec = Codec(tokenizer, Form(layout="inline"))
    tag_set = TagSet("t", "en", (EntityType("p", "protein", "d"), EntityType("c", "cell_line", "d")))
    text = "CD28 in T | B"
    source = codec.source(text)
    spans, left_out = writable(
        AnnotatedSentence(text, (Mention(0, 4, "p"), Mention(0, 2, "c"), Mention(8, 11, "c"))), source, tag_set
    )
    assert not left_out
    written = codec.write(source, spans, tag_set)
    assert tokenizer.decode(written[:-1]) == "[[CD|cell_line]28|protein] in[ T ¦|cell_line] B"
    assert "[mention|type]" in tokenizer.decode(codec.prefix(tag_set))
