"""JATS: each paragraph, caption and row is a part under its headings; nothing else gets into the text."""

import pytest
from annotated_texts import pieces
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.jats import read_jats

META = """
<article-id pub-id-type="pmid">11</article-id><article-id pub-id-type="pmc">7</article-id>
<article-id pub-id-type="doi">10.1000/x</article-id>
<title-group><article-title>Gout in <italic>mice</italic></article-title>
<trans-title-group xml:lang="zh"><trans-title>小鼠痛风</trans-title></trans-title-group></title-group>
<pub-date><year>2019</year></pub-date>
<abstract><sec><title>Aims</title><p>We looked.</p></sec></abstract>
<trans-abstract xml:lang="zh"><p>观察小鼠。</p></trans-abstract>
"""
BODY = """
<sec sec-type="methods"><title>Materials and methods</title><p>Mice were bred.<xref ref-type="bibr">1</xref></p>
 <sec><title>Results of breeding</title><p>Many, as <inline-formula><tex-math>x^2</tex-math><mml:math><mml:mi>n</mml:mi>
 <mml:annotation>latex</mml:annotation></mml:math></inline-formula> shows.
 <table-wrap><label>Table 1</label><caption><title>Litters</title><p>All of them.</p></caption>
 <table><thead><tr><th>Day</th><th>Mice</th></tr></thead><tbody><tr><td>1</td><td>ten</td></tr></tbody></table>
 <table-wrap-foot><fn><p>Counted twice.</p></fn></table-wrap-foot></table-wrap> Then they slept.</p></sec></sec>
<sec><title>Conclusions</title><list><list-item><p>One.</p></list-item><list-item><p>Two.</p></list-item></list></sec>
"""
BACK = "<ack><p>Thanks.</p></ack><ref-list><ref><mixed-citation>Smith</mixed-citation></ref></ref-list>"
FLOATS = "<fig><label>Figure 1</label><caption><p>A mouse.</p></caption><graphic/></fig>"


def article(meta: str = META, body: str = BODY, name: str = "article") -> str:
    front = f"<front><article-meta>{meta}</article-meta></front>"
    return f"<{name}>{front}<body>{body}</body><back>{BACK}</back><floats-group>{FLOATS}</floats-group></{name}>"


def read(text: str) -> list[Document]:
    return list(read_jats(pieces(text), "f.nxml"))


def test_parts_in_order_under_their_headings() -> None:
    doctype = '<!DOCTYPE article PUBLIC "-//NLM//DTD" "journal.dtd" [<!ENTITY x "y">]>'
    (document,) = read(f"<?xml version='1.0'?>{doctype}{article()}")
    methods, breeding = "Materials and methods", "Materials and methods > Results of breeding"
    assert [(p.kind, p.section, p.lang, document.text[p.start : p.end]) for p in document.parts] == [
        ("title", "", "en", "Gout in mice"),
        ("introduction", "Aims", "en", "Aims"),
        ("introduction", "Aims", "en", "We looked."),
        ("title", "", "zh", "小鼠痛风"),
        ("abstract", "", "zh", "观察小鼠。"),
        ("methods", methods, "en", methods),
        ("methods", methods, "en", "Mice were bred.1"),
        ("methods", breeding, "en", "Results of breeding"),
        ("methods", breeding, "en", "Many, as n shows. Then they slept."),
        ("caption", breeding, "en", "Litters"),
        ("caption", breeding, "en", "All of them."),
        ("table", breeding, "en", "Day\tMice"),
        ("table", breeding, "en", "1\tten"),
        ("footnote", breeding, "en", "Counted twice."),
        ("conclusions", "Conclusions", "en", "Conclusions"),
        ("conclusions", "Conclusions", "en", "One."),
        ("conclusions", "Conclusions", "en", "Two."),
        ("caption", "", "en", "A mouse."),
    ]
    assert (document.source_id, document.year, document.lang) == ("PMC7", 2019, "en")
    assert document.ids == {"pmid": "11", "pmcid": "PMC7", "doi": "10.1000/x"}


def test_a_broken_article_costs_none_other() -> None:
    broken = article().replace("</sec>", "", 1)
    bare = "<article><body><p>No front.</p></body></article>"
    one, two, three, four = read(f"<pmc-articleset>{article()}{broken}{bare}{article()}</pmc-articleset>")
    assert one.text == four.text != ""
    assert isinstance(two.error, MalformedRecordError)
    assert "f.nxml: record 2 at byte " in str(two.error)
    assert "without front matter" in str(three.error)


def test_sub_articles_are_no_articles() -> None:
    (document,) = read(article(body=BODY).replace("</article>", f"{article(name='sub-article')}</article>"))
    assert document.text.count("Mice were bred.") == 1


@pytest.mark.parametrize("text", ["", "<html/>", "<articles/>"])
def test_what_is_no_jats_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"f\.nxml"):
        read(text)


@given(st.lists(st.text("ab <&α痛\n", min_size=1, max_size=10).filter(str.strip), max_size=5))
def test_no_paragraph_is_lost(paragraphs: list[str]) -> None:
    written = [p.replace("&", "&amp;").replace("<", "&lt;") for p in paragraphs]
    body = "".join(f"<sec><boxed-text><p>{p}</p></boxed-text></sec>" for p in written)
    (document,) = read(article(body=body))
    texts = [document.text[p.start : p.end] for p in document.parts if p.kind == "text"]
    assert texts == [" ".join(p.split()) for p in paragraphs]
