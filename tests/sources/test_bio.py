"""Tagged tokens: every way of writing them gives the same mentions; what breaks the scheme is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.conversion import sentences_of
from llmner.documents import Annotations
from llmner.mentions import Mention
from llmner.sources.bio import read_bio

TOKENS = ["Severe", "acute", "gout", "and", "fever", "."]
TAGS = {
    "BIO": ["O", "B-Disease", "I-Disease", "O", "B-Symptom", "O"],
    "IOBES": ["O", "B-Disease", "E-Disease", "O", "S-Symptom", "O"],
    "BILOU": ["O", "B-Disease", "L-Disease", "O", "U-Symptom", "O"],
}


def lines(tokens: list[str], tags: list[str], between: str = "\t") -> str:
    return "".join(f"{token}{between}{tag}\n" for token, tag in zip(tokens, tags, strict=True))


@pytest.mark.parametrize("scheme", TAGS)
@pytest.mark.parametrize("between", ["\t", " ", "\tNN  "])
def test_schemes_and_columns(scheme: str, between: str) -> None:
    [document] = read_bio(lines(TOKENS, TAGS[scheme], between), "folder/train.tsv")
    expected = (Mention(7, 17, "Disease"), Mention(22, 27, "Symptom"))
    assert (document.source_id, document.text) == ("train-1", "Severe acute gout and fever .")
    assert document.annotations == Annotations(expected, ((0, 29),))


def test_chinese_tokens_have_no_blank_between() -> None:
    [document] = read_bio(lines(list("患痛风\u3000性病"), ["O", "B-dis", "M-dis", "O", "O", "S-dis"], " "), "f")
    assert document.text == "患痛风\u3000性病"
    assert document.annotations.mentions == (Mention(1, 3, "dis"), Mention(5, 6, "dis"))


def test_sentences_and_documents() -> None:
    sentence = lines(["Gout", "."], ["B-Disease", "O"])
    text = f"-DOCSTART- -X- O\r\n\r\n{sentence}\r\n\n{sentence}\n-DOCSTART-\tO\n{sentence}"
    one, two = read_bio(text, "f.conll")
    assert (one.source_id, two.source_id) == ("f-1", "f-2")
    assert one.annotations.sentences == ((0, 6), (7, 13))
    assert [s.mentions for s in sentences_of(one)] == [(Mention(0, 4, "Disease"),)] * 2


def test_what_breaks_the_scheme_is_told() -> None:
    tags = ["I-Disease", "B-Disease", "I-Symptom", "I-Symptom", "S-Symptom", "I-Symptom"]
    text = lines(TOKENS, tags) + "\nGout B-Disease\nalone\n\n" + lines(["x"], ["B-Disease"])
    [document] = read_bio(text, "f")
    assert document.text == "Severe acute gout and fever .\nx"
    assert document.annotations.mentions == (
        Mention(7, 12, "Disease"),
        Mention(22, 27, "Symptom"),
        Mention(30, 31, "Disease"),
    )
    told = " ".join(str(p) for p in document.annotations.problems)
    assert "f: document f-1: line 9: 'alone' is no token with its tag" in told
    assert "sentence at line 1: Disease 'Severe acute gout and fever .' begins with an inner tag" in told
    assert len(document.annotations.problems) == 4


@given(st.lists(st.tuples(st.text("abc.-9", min_size=1, max_size=5), st.sampled_from(["O", "A", "B"])), min_size=1))
def test_round_trip(rows: list[tuple[str, str]]) -> None:
    tags = ["O" if type == "O" else f"S-{type}" for _, type in rows]
    [document] = read_bio(lines([token for token, _ in rows], tags), "f")
    assert document.text.split(" ") == [token for token, _ in rows]
    expected = [(token, type) for token, type in rows if type != "O"]
    assert [(document.text[m.start : m.end], m.type) for m in document.annotations.mentions] == expected
    assert not document.annotations.problems
