import re
from typing import Any

import lxml.html
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Document, documents_table
from llmner.errors import DatasetError, MalformedRecordError
from llmner.mentions import parents
from llmner.report.highlight import Mark, highlight_page, marked


def row(text: str, *spans: tuple[int, int, str, str], title: str = "", dropped: int | None = None, **fields) -> dict:
    """A row as it comes back from a data set; ``spans`` are start, end, type and tag set."""
    document = Document(source="pubmed", source_id="1", source_file="f.xml", text=text, title=title, **fields)
    made = documents_table([document]).to_pylist()[0]
    made["status"] = made["status"].replace("read", "ok")
    made |= {"sentences": [], "source_tokens": 0, "fed_tokens": 0, "run_id": "r", "record": 0}
    enclosing = parents([s[:2] for s in spans])
    made["mentions"] = [
        {"start": start, "end": end, "text": text[start:end], "type": type_, "tag_set": tag_set, "sentence": 0}
        | {
            "parent": enclosing[i],
            "generator_score": 0.5,
            "selector_score": None,
            "kept": i != dropped,
            "match": "exact",
        }
        for i, (start, end, type_, tag_set) in enumerate(spans)
    ]
    return pa.Table.from_pylist([made], schema=DOCUMENT_SCHEMA).to_pylist()[0]


def page(*rows: dict) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(highlight_page(rows))


def outline(nodes: list[str | Mark]) -> list:
    """Marks as (type, content) with ``-`` where a mention goes on from before or is cut."""
    return [
        n if isinstance(n, str) else ("-" * (not n.first) + n.mention["type"] + "-" * (not n.last), outline(n.content))
        for n in nodes
    ]


def mention(start: int, end: int, type_: str) -> dict[str, Any]:
    return {"start": start, "end": end, "type": type_}


def test_nested_mentions_are_nested_marks():
    text = "the CD28 surface receptor"
    found = marked(text, [mention(4, 8, "inner"), mention(4, 25, "outer"), mention(9, 16, "last")], 0, len(text))
    assert outline(found) == ["the ", ("outer", [("inner", ["CD28"]), " ", ("last", ["surface"]), " receptor"])]


def test_of_crossing_mentions_the_later_is_divided():
    found = marked("abcdef", [mention(0, 4, "x"), mention(2, 6, "y")], 0, 6)
    assert outline(found) == [("x", ["ab", ("y-", ["cd"])]), ("-y", ["ef"])]


def test_a_mention_across_the_end_of_a_stretch_is_shown_as_cut():
    assert outline(marked("abcdef", [mention(1, 5, "x")], 0, 3)) == ["a", ("x-", ["bc"])]
    assert outline(marked("abcdef", [mention(1, 5, "x")], 3, 6)) == [("-x", ["de"]), "f"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), max_size=8))
def test_marks_change_no_text_and_their_parts_make_up_the_mention(spans):
    text = "0123456789abcdef"
    mentions = [mention(start, start + length, str(i)) for i, (start, length) in enumerate(spans)]
    parts: dict[str, list[tuple[str, bool, bool]]] = {m["type"]: [] for m in mentions}

    def read(nodes: list[str | Mark]) -> str:
        out = ""
        for node in nodes:
            if isinstance(node, str):
                out += node
            else:
                inner = read(node.content)
                parts[node.mention["type"]].append((inner, node.first, node.last))
                out += inner
        return out

    assert read(marked(text, mentions, 0, len(text))) == text
    for m in mentions:
        pieces, firsts, lasts = zip(*parts[m["type"]], strict=True)
        assert "".join(pieces) == text[m["start"] : m["end"]]
        assert firsts == (True, *[False] * (len(pieces) - 1))
        assert lasts == (*[False] * (len(pieces) - 1), True)


def test_untrusted_text_is_escaped_and_nothing_is_loaded():
    evil = "<script>alert(1)</script>"
    error = MalformedRecordError(f"bad record {evil}")
    rows = [
        row(f"{evil} & more", (0, 8, f'"><img src=x onerror=y>{evil}', evil), title=evil, lang='"><b>'),
        row("", title="", error=error),
    ]
    html = highlight_page(rows)
    assert "<script" not in html
    assert "<img" not in html
    shown = lxml.html.document_fromstring(html)
    assert shown.xpath("string(//h3)") == evil
    assert shown.xpath("string(//p[@class='text'])") == "& more"
    assert {e.tag for e in shown.xpath("//article//*")} == {"div", "span", "section", "h3", "mark", "i", "p"}
    assert shown.xpath("//@src | //@href | //@onerror | //link | //script") == []
    assert not re.search(r"url\(|@import|https?:", html)
    assert "default-src 'none'" in html


def test_title_and_abstract_are_shown_apart_with_their_mentions():
    text = "On aspirin. It cures headache."
    shown = page(row(text, (3, 10, "Chemical", "bc5cdr"), (21, 29, "Disease", "bc5cdr"), title="On aspirin."))
    assert [e.text_content() for e in shown.xpath("//h3")] == ["On aspirin."]
    assert [e.text_content() for e in shown.xpath("//p[@class='text']")] == ["It cures headache."]
    assert [e.text for e in shown.xpath("//mark")] == ["aspirin", "headache"]
    assert shown.xpath("//mark/@data-tip") == ["Chemical · bc5cdr · 0.50", "Disease · bc5cdr · 0.50"]
    assert shown.xpath("//mark/i/@data-type") == ["Chemical", "Disease"]


@pytest.mark.parametrize(("title", "heading"), [("On aspirin", []), ("Another title", ["Another title"]), ("", [])])
def test_a_title_that_is_no_line_of_the_text_divides_nothing(title, heading):
    text = "On aspirin. It cures."
    shown = page(row(text, (3, 10, "Chemical", "bc5cdr"), title=title))
    assert [e.text_content() for e in shown.xpath("//h3")] == heading
    assert [e.text_content() for e in shown.xpath("//p[@class='text']")] == [text]


def test_a_document_that_is_only_a_title_has_no_abstract():
    shown = page(row("Reply.", title="Reply."))
    assert [e.text_content() for e in shown.xpath("//h3")] == ["Reply."]
    assert shown.xpath("//p[@class='text']") == []


def test_each_tag_set_has_a_paragraph_of_its_own():
    shown = page(row("IgE and SB 1", (0, 3, "protein", "genia"), (8, 12, "Chemical", "bc5cdr")))
    assert [e.text_content() for e in shown.xpath("//p[@class='text']")] == ["IgE and SB 1"] * 2
    assert [e.text for e in shown.xpath("//p[@class='set']")] == ["genia", "bc5cdr"]
    assert [e.text for e in shown.xpath("//mark")] == ["IgE", "SB 1"]


def test_figures_and_legend_count_kept_mentions():
    first = row(
        "心脏病和肺炎", (0, 3, "dis", "cmeee_v2"), (0, 2, "bod", "cmeee_v2"), (4, 6, "dis", "cmeee_v2"), lang="zh"
    )
    second = row("肺炎", (0, 2, "dis", "cmeee_v2"), dropped=0, lang="zh")
    failed = row("", error=MalformedRecordError("no PMID"))
    shown = page(first, second, failed)
    figures = dict(zip(shown.xpath("//dt/text()"), shown.xpath("//dd/text()"), strict=True))
    assert figures == {
        "documents": "3",
        "mentions": "3",
        "of them nested in another": "1",
        "documents rejected": "1",
    }
    assert [e.text_content() for e in shown.xpath("//div[@class='legend']//li")] == ["dis2", "bod1"]
    assert shown.xpath("//article/@lang") == ["zh-Hans", "zh-Hans", "en"]
    assert "no PMID" in shown.xpath("string(//p[@class='problem'])")
    assert "dropped" in shown.xpath("//article[2]//mark/@class")[0]


def test_types_of_a_tag_set_differ_in_colour():
    spans = [(i, i + 1, f"type{i}", "set") for i in range(9)]
    assert len(set(page(row("abcdefghi", *spans)).xpath("//mark/@class"))) == 9


def test_no_documents_make_a_page_too():
    assert page().xpath("//dd/text()") == ["0", "0", "0"]


def test_a_mention_outside_of_its_text_is_an_error_that_names_the_document():
    bad = row("abc", (0, 3, "x", "set"))
    bad["mentions"][0]["end"] = 4
    with pytest.raises(DatasetError, match=r"document 1: mention \[0, 4\)"):
        highlight_page([bad])
