"""PubTator: what is written is read back; what is broken is told and costs nothing else."""

from annotated_texts import LINES, found, mentions, pieces, problems
from hypothesis import given
from hypothesis import strategies as st

from llmner.errors import MalformedRecordError
from llmner.mentions import Mention
from llmner.sources.pubtator import read_pubtator

GOOD = """\
11|t|Colchicine for gout.
11|a|Gout answers to colchicine.
11\t0\t10\tColchicine\tChemical\tC1
11\t21\t25\tGout\tDisease
11\tCID\tC1\tD6073
11\tAssociation\tC1\tD6073\tNovel
"""


def test_title_abstract_and_mentions() -> None:
    [document] = read_pubtator(pieces(GOOD), "a.txt")
    expected = (Mention(0, 10, "Chemical"), Mention(21, 25, "Disease"))
    assert found(document) == ("11", "Colchicine for gout. Gout answers to colchicine.", expected)
    assert (document.source, document.title, document.source_file) == ("pubtator", "Colchicine for gout.", "a.txt")


def test_windows_line_ends_and_a_title_alone() -> None:
    documents = list(
        read_pubtator(pieces(f"\ufeff{GOOD}12|t|Gout.\n12\t0\t4\tGout\tDisease\n".replace("\n", "\r\n")), "a.txt")
    )
    assert [d.source_id for d in documents] == ["11", "12"]
    assert found(documents[1]) == ("12", "Gout.", (Mention(0, 4, "Disease"),))


def test_a_span_with_other_text_is_left_out_and_told() -> None:
    shifted = GOOD.replace("21\t25", "22\t26") + "11\t40\t99\tx\tDisease\nrubbish\n"
    shifted += f"11\t{'9' * 5000}\t0\tx\tDisease\n12\t0\t4\tGout\tDisease\n"
    document, stray = read_pubtator(pieces(shifted), "a.txt")
    assert document.annotations.mentions == (Mention(0, 10, "Chemical"),)
    told = problems(document)
    assert told[0] == "a.txt: document 11: Disease 'Gout' at [22, 26): the text there is 'out '"
    assert "no place in the text" in told[1]
    assert "'rubbish' is no mention of it" in told[2]
    assert "999' is no mention of it" in told[3]
    assert "begins no document" in str(stray.error)


def test_a_broken_document_costs_none_other() -> None:
    text = f"{GOOD}\n13\t0\t4\tGout\tDisease\n\n14|t|Gout.\n"
    one, broken, two = read_pubtator(pieces(text), "a.txt")
    assert (one.source_id, two.source_id) == ("11", "14")
    assert isinstance(broken.error, MalformedRecordError)
    assert f"a.txt: line 8 at byte {text.index('13')}: " in str(broken.error)


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    title, abstract = data.draw(LINES), data.draw(LINES)
    text = f"{title} {abstract}"
    expected = data.draw(mentions(text))
    lines = [f"7|t|{title}", f"7|a|{abstract}"]
    lines += [f"7\t{m.start}\t{m.end}\t{text[m.start : m.end]}\t{m.type}\tX" for m in expected]
    assert [found(d) for d in read_pubtator(pieces("\n".join(lines)), "f")] == [("7", text, expected)]
