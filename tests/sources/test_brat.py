"""brat standoff: what is written is read back; spans apart are counted, wrong ones told."""

from annotated_texts import annotated, found, problems
from hypothesis import given

from llmner.mentions import Mention
from llmner.sources.brat import read_brat

TEXT = "Hand and foot pain,\r\nacute\nrenal failure.\n"


def test_mentions_and_what_is_beside_them() -> None:
    ann = (
        "T1\tPain 9 18\tfoot pain\r\n"
        "T2\tPain 0 4;14 18\tHand pain\n"
        "T3\tDisease 21 26;27 40\tacute renal failure\n"
        "R1\tCauses Arg1:T1 Arg2:T2\nE1\tPain:T1\nA1\tNegated E1\n#1\tAnnotatorNotes T1\tsure?\n*\tEquiv T1 T2\n"
    )
    expected = (Mention(9, 18, "Pain"), Mention(21, 40, "Disease"))
    document = read_brat(ann, "folder/x.ann", TEXT)
    assert found(document) == ("x", TEXT, expected)
    assert document.annotations.discontinuous == 1


def test_what_is_wrong_is_told() -> None:
    ann = "T1\tPain 8 17\tfoot pain\nT2\tPain 9\tfoot\nT3 Pain 9 13 foot\nT4\tPain 40 99\tx\nT5\tPain 9 13\tfoot"
    document = read_brat(ann, "x.ann", TEXT)
    assert document.annotations.mentions == (Mention(9, 13, "Pain"),)
    told = problems(document)
    assert told[0] == "x.ann: document x: Pain 'foot pain' at [8, 17): the text there is ' foot pai'"
    assert "T2" in told[1]
    assert "T3" in told[2]
    assert "no place in the text" in told[3]


@given(annotated())
def test_round_trip(texts: tuple) -> None:
    text, mentions = texts
    ann = "".join(f"T{i}\t{m.type} {m.start} {m.end}\t{text[m.start : m.end]}\n" for i, m in enumerate(mentions))
    assert found(read_brat(ann, "x.ann", text)) == ("x", text, mentions)
