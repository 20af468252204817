"""Documents become sentences with every mention in one of them."""

from annotated_texts import LINES, mentions
from hypothesis import given
from hypothesis import strategies as st

from llmner.annotations import AnnotatedSentence
from llmner.conversion import sentences_of
from llmner.documents import Annotations, Document
from llmner.mentions import Mention, Span
from llmner.sources.pubtator import read_pubtator

TWO = "Aspirin helped. Gout went away."


def annotated(text: str, mentions: tuple[Mention, ...], sentences: tuple[Span, ...] = ()) -> Document:
    return Document("x", "1", "f", text, annotations=Annotations(mentions, sentences))


def test_mentions_move_with_their_sentence() -> None:
    document = annotated(TWO, (Mention(0, 7, "Chemical"), Mention(16, 20, "Disease")))
    assert sentences_of(document) == [
        AnnotatedSentence("Aspirin helped.", (Mention(0, 7, "Chemical"),)),
        AnnotatedSentence("Gout went away.", (Mention(0, 4, "Disease"),)),
    ]


def test_sentences_that_a_mention_crosses_are_one() -> None:
    document = annotated(f"{TWO} All was well.", (Mention(8, 20, "Event"), Mention(16, 20, "Disease")))
    assert sentences_of(document) == [
        AnnotatedSentence(TWO, (Mention(8, 20, "Event"), Mention(16, 20, "Disease"))),
        AnnotatedSentence("All was well.", ()),
    ]


def test_a_merged_sentence_is_one_line() -> None:
    [sentence] = sentences_of(annotated("acute\nrenal\u2028failure", (Mention(0, 19, "Disease"),)))
    assert sentence == AnnotatedSentence("acute renal failure", (Mention(0, 19, "Disease"),))


def test_a_title_is_a_sentence_whatever_it_ends_with() -> None:
    title, text = "小儿急性肺炎", "支原体感染是常见病因。"
    chunks = [f"1|t|{title}\n1|a|{text}\n2|t|A case of gout\n2|a|Colchicine helped.\n".encode()]
    documents = read_pubtator(chunks, "f")
    assert [[s.text for s in sentences_of(d)] for d in documents] == [
        [title, text],
        ["A case of gout", "Colchicine helped."],
    ]


def test_white_space_at_the_ends_of_a_mention_is_no_part_of_it() -> None:
    first, second = sentences_of(annotated(TWO, (Mention(15, 21, "Disease"),)))
    assert (first.mentions, second.mentions) == ((), (Mention(0, 4, "Disease"),))


def test_sentences_that_the_format_gives_are_kept() -> None:
    text = "Fig . 1 A . The end"
    document = annotated(text, (Mention(0, 3, "X"),), ((0, 19),))
    assert sentences_of(document) == [AnnotatedSentence(text, (Mention(0, 3, "X"),))]


@given(st.data())
def test_no_mention_is_lost_and_none_changes_its_text(data: st.DataObject) -> None:
    text = data.draw(st.lists(LINES, min_size=1, max_size=3).map(". The next\n".join))
    given_mentions = data.draw(mentions(text))
    sentences = sentences_of(annotated(text, given_mentions))
    found = [(s.text[m.start : m.end], m.type) for s in sentences for m in s.mentions]
    assert sorted(found) == sorted((text[m.start : m.end].replace("\n", " "), m.type) for m in given_mentions)
    assert "".join(" ".join(s.text for s in sentences).split()) == "".join(text.split())
