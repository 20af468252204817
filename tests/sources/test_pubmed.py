"""PubMed XML as documents: the text, the identity, and what happens to records that are broken."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from types import NoneType
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmner.documents import Document, Part, document_key
from llmner.errors import DocumentTooLargeError, InputError, MalformedRecordError, TruncatedFileError
from llmner.sources.limits import Limits
from llmner.sources.pubmed import read_pubmed

FILE = "s3://corpus/pubmed26n0001.xml.gz"
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2026//EN" "https://dtd.nlm.nih.gov/x.dtd">
<PubmedArticleSet>
"""
TAIL = "</PubmedArticleSet>\n"


def citation(
    pmid: int | str = 1,
    title: str = "<ArticleTitle>A title.</ArticleTitle>",
    abstract: str = "<Abstract><AbstractText>An abstract.</AbstractText></Abstract>",
    *,
    version: str = "1",
    date: str = "<Year>2024</Year>",
    after: str = "",
    other: str = "",
) -> str:
    """A citation. ``after`` stands in Article after the abstract, ``other`` after Article."""
    return (
        f'<MedlineCitation Status="MEDLINE" Owner="NLM"><PMID Version="{version}">{pmid}</PMID>'
        '<DateRevised><Year>2025</Year></DateRevised><Article PubModel="Print">'
        f"<Journal><Title>J Test</Title><JournalIssue><PubDate>{date}</PubDate></JournalIssue></Journal>"
        f"{title}{abstract}{after}</Article>{other}<CommentsCorrectionsList><CommentsCorrections>"
        "<PMID>999</PMID></CommentsCorrections></CommentsCorrectionsList></MedlineCitation>"
    )


def article(*args: object, **kwargs: str) -> str:
    return (
        f"<PubmedArticle>\n{citation(*args, **kwargs)}\n<PubmedData><ArticleIdList>"
        '<ArticleId IdType="pubmed">77</ArticleId></ArticleIdList></PubmedData></PubmedArticle>\n'
    )


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def read(xml: str | bytes, size: int = 1 << 16, **limits: int) -> list[Document]:
    data = xml if isinstance(xml, bytes) else xml.encode()
    return list(read_pubmed(pieces(data, size), FILE, **limits))


def one(*args: object, **kwargs: str) -> Document:
    (document,) = read(HEAD + article(*args, **kwargs) + TAIL)
    assert document.error is None
    return document


def outcome(documents: list[Document]) -> list[tuple[str, str, type | None]]:
    return [(d.source_id, d.text, type(d.error) if d.error else None) for d in documents]


GOOD = "A title. An abstract."


# What a document is


def test_a_citation() -> None:
    assert one(38000001, version="3") == Document(
        source="pubmed",
        source_id="38000001",
        source_file=FILE,
        text="A title. An abstract.",
        version=3,
        title="A title.",
        lang="en",
        year=2024,
        parts=(Part(0, 8, "title", "", "en"), Part(9, 21, "abstract", "", "en")),
        ids={"pmid": "38000001"},
    )


@pytest.mark.parametrize(
    ("title", "abstract", "text"),
    [
        ("<ArticleTitle>[Gene therapy.]</ArticleTitle>", "", "[Gene therapy.]"),
        ("", "<Abstract><AbstractText>Alone.</AbstractText></Abstract>", "Alone."),
        ("<ArticleTitle/>", "<Abstract><AbstractText/></Abstract>", ""),
        ("", "", ""),
        (
            "<ArticleTitle>Role of <i>TP53</i> in Ca<sup>2+</sup> uptake and CO<sub>2</sub></ArticleTitle>",
            "<Abstract><AbstractText><b>Aim</b>: <i>in <b>vivo</b></i> tests.</AbstractText></Abstract>",
            "Role of TP53 in Ca2+ uptake and CO2 Aim: in vivo tests.",
        ),
        (
            "<ArticleTitle>Labels</ArticleTitle>",
            '<Abstract><AbstractText Label="AIMS" NlmCategory="OBJECTIVE">To see.</AbstractText>\n'
            '<AbstractText Label="RESULTS"> Seen. </AbstractText><AbstractText>No label.</AbstractText>'
            '<AbstractText Label="EMPTY"/><CopyrightInformation>(c) X</CopyrightInformation></Abstract>',
            "Labels AIMS: To see. RESULTS: Seen. No label.",
        ),
        (
            '<ArticleTitle>Let <mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mrow><mml:mi>x</mml:mi>'
            "<mml:mo>=</mml:mo><mml:mn>2</mml:mn></mml:mrow></mml:math> be.</ArticleTitle>",
            "",
            "Let x=2 be.",
        ),
        (
            "<ArticleTitle>\n      White \t space,\u2009thin\u00a0or\u3000wide.\n    </ArticleTitle>",
            "<Abstract>\n  <AbstractText>One\n      line.</AbstractText>\n </Abstract>",
            "White space, thin or wide. One line.",
        ),
        (
            "<ArticleTitle>Na\u0131\u0308ve cafe\u0301, \ufb01bre, \u212b</ArticleTitle>",  # as it is: no normal form
            "",
            "Na\u0131\u0308ve cafe\u0301, \ufb01bre, \u212b",
        ),
        (
            "<ArticleTitle>p &lt; 0.05 &amp; q &#x3e; 1, &#945;-helix &amp;lt;</ArticleTitle>",
            "",
            "p < 0.05 & q > 1, α-helix &lt;",
        ),
        (
            # HTML's entities, which nothing declares
            "<ArticleTitle>&alpha;-synuclein, Sj&ouml;gren&apos;s &AMP; &LT;5&nbsp;kg</ArticleTitle>",
            "",
            "α-synuclein, Sjögren's & <5 kg",
        ),
        ("<ArticleTitle>A <!-- no --><?no no?><![CDATA[<b> & c]]></ArticleTitle>", "", "A <b> & c"),
    ],
)
def test_the_text(title: str, abstract: str, text: str) -> None:
    document = one(1, title, abstract)
    assert document.text == text
    assert document.text.startswith(document.title)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"])),
    st.text(st.characters(codec="ascii", min_codepoint=32)),
)
def test_any_text_comes_out_as_it_went_in(title: str, abstract: str) -> None:
    document = one(
        1,
        f"<ArticleTitle>{escape(title)}</ArticleTitle>",
        f"<Abstract><AbstractText>{''.join(f'&#{ord(c)};' for c in abstract)}</AbstractText></Abstract>",
    )
    assert document.title == " ".join(title.split())
    assert document.text == " ".join(f"{title} {abstract}".split())


@pytest.mark.parametrize(
    ("date", "after", "year"),
    [
        ("<Year>1998</Year><Month>Jan</Month>", "<ArticleDate><Year>1997</Year></ArticleDate>", 1998),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "", 1998),
        ("<MedlineDate>Winter 2003</MedlineDate>", "", 2003),
        ("<Season>Winter</Season>", '<ArticleDate DateType="Electronic"><Year>2016</Year></ArticleDate>', 2016),
        ("<MedlineDate>12345</MedlineDate>", "", None),
        ("", "", None),
    ],
)
def test_the_year(date: str, after: str, year: int | None) -> None:
    assert one(1, date=date, after=after).year == year


CHINESE = "目的：探讨表皮生长因子受体（EGFR）基因突变与非小细胞肺癌患者预后的关系。"


def test_a_chinese_abstract_is_a_document_of_its_own() -> None:
    english, chinese, after = read(
        HEAD
        + article(
            5,
            "<ArticleTitle>[EGFR mutations in lung cancer].</ArticleTitle>",
            after="<VernacularTitle>肺癌中的EGFR突变</VernacularTitle>",
            other='<OtherAbstract Language="fre"><AbstractText>Un résumé.</AbstractText></OtherAbstract>'
            f'<OtherAbstract Type="Publisher" Language="chi"><AbstractText Label="目的">{CHINESE}</AbstractText>'
            "<AbstractText>结论。</AbstractText></OtherAbstract>",
            version="2",
        )
        + article(6)
        + TAIL
    )
    assert (english.source_id, english.lang) == ("5", "en")
    assert english.text == "[EGFR mutations in lung cancer]. An abstract."
    assert (chinese.source_id, chinese.version, chinese.lang, chinese.year) == ("5:chi", 2, "zh", 2024)
    assert chinese.title == "肺癌中的EGFR突变"
    assert chinese.text == f"肺癌中的EGFR突变 目的: {CHINESE} 结论。"
    assert chinese.key != english.key
    assert after.source_id == "6"


def test_a_chinese_abstract_under_a_title_in_pinyin_has_no_title() -> None:
    other = f'<OtherAbstract Language="chi"><AbstractText>{CHINESE}</AbstractText></OtherAbstract>'
    after = "<VernacularTitle>Zhongguo fei ai</VernacularTitle>"
    _, chinese = read(HEAD + article(5, after=after, other=other) + TAIL)
    assert (chinese.title, chinese.text) == ("", CHINESE)


def test_a_chinese_abstract_that_is_not_there_is_no_document() -> None:
    note = "<AbstractText>Abstract available from the publisher.</AbstractText>"
    assert one(5, other=f'<OtherAbstract Language="chi">{note}</OtherAbstract>').lang == "en"


def test_the_script_decides_the_language() -> None:
    abstract = f"<Abstract><AbstractText>{CHINESE}</AbstractText></Abstract>"
    assert one(1, "<ArticleTitle>EGFR</ArticleTitle>", abstract, after="<Language>eng</Language>").lang == "zh"
    assert (
        one(1, "<ArticleTitle>On the herb 黄芪 (Astragalus)</ArticleTitle>", after="<Language>chi</Language>").lang
        == "en"
    )


def test_books_are_documents() -> None:
    book = (
        '<PubmedBookArticle><BookDocument><PMID Version="1">30</PMID><Book><BookTitle>Reviews</BookTitle><PubDate>'
        "<Year>2011</Year></PubDate></Book><ArticleTitle>Gene X</ArticleTitle><Abstract><AbstractText>A chapter."
        "</AbstractText></Abstract></BookDocument><PubmedBookData/></PubmedBookArticle>"
    )
    documents = read(HEAD + article(1) + book + TAIL)
    assert [(d.source_id, d.text, d.year) for d in documents] == [("1", GOOD, 2024), ("30", "Gene X A chapter.", 2011)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_deletion_withdraws_the_document_and_its_chinese_abstract(size: int) -> None:
    deletions = '<DeleteCitation>\n<PMID Version="1">8</PMID>\n<PMID Version="2">9</PMID></DeleteCitation>'
    xml = (HEAD + article(1) + deletions + TAIL).encode()
    documents = list(read_pubmed([xml[i : i + size] for i in range(0, len(xml), size)], FILE))
    withdrawn = [("8", 1), ("8:chi", 1), ("9", 2), ("9:chi", 2)]
    assert [(d.source_id, d.version) for d in documents if d.withdrawn] == withdrawn
    assert [(d.source_id, d.text) for d in documents if not d.withdrawn] == [("1", GOOD)]
    assert documents[1].key == document_key("pubmed", "8", 1)


def test_a_deletion_that_names_nothing_is_rejected_alone() -> None:
    xml = HEAD + article(1) + "<DeleteCitation><PMID>none</PMID><PMID>8</PMID></DeleteCitation>" + TAIL
    assert [(d.withdrawn, type(d.error)) for d in read(xml)] == [
        (False, NoneType),
        (False, MalformedRecordError),
        (True, NoneType),
        (True, NoneType),
    ]


def test_deletions_without_their_end_swallow_nothing() -> None:
    xml = HEAD + "<DeleteCitation><PMID>8</PMID>" + article(1) + TAIL
    assert outcome(read(xml)) == [("8", "", None), ("8:chi", "", None), ("1", GOOD, None)]


def test_the_layout_before_2017() -> None:
    xml = f"<?xml version='1.0'?><MedlineCitationSet>{citation(1)}\n{citation(2)}<DeleteCitation/></MedlineCitationSet>"
    assert outcome(read(xml)) == [("1", GOOD, None), ("2", GOOD, None)]


def test_sets_without_documents() -> None:
    assert read(HEAD + TAIL) == []
    assert read(article(1)) == read(HEAD + article(1) + TAIL)[:1]


def test_a_prefix_that_the_root_declares() -> None:
    math = "<ArticleTitle>Let <mml:math><mml:mi>x</mml:mi></mml:math>.</ArticleTitle>"
    root = '<PubmedArticleSet xmlns:mml="http://www.w3.org/1998/Math/MathML">'
    (document,) = read(f"{root}{article(1, math)}</PubmedArticleSet>")
    assert document.text == "Let x. An abstract."


# Cutting

MIXED = (
    HEAD
    + article(1, "<ArticleTitle>Über β-Catenin 蛋白 &eacute;</ArticleTitle>")
    + "<PubmedArticle><MedlineCitation><PMID>2</PMID><Broken></MedlineCitation></PubmedArticle>"
    + article(3)
    + "<PubmedArticle ><MedlineCitation><PMID>4</PMID>"  # has lost its end
    + article(5)
    + "</MedlineCitation></PubmedArticle>"  # has lost its beginning
    + article(6, "<ArticleTitle>" + "x" * 3000 + "</ArticleTitle>")
    + article(7)
    + "<DeleteCitation><PMID>8</PMID></DeleteCitation>"
    + TAIL
).encode()
SMALL = Limits(record_bytes=3000)
STRAY = b"\n</MedlineCitation></PubmedArticle>"


def test_a_file_of_many_kinds() -> None:
    assert [(i, e) for i, _, e in outcome(read(MIXED, limits=SMALL))] == [
        ("1", None),
        ("2", MalformedRecordError),
        ("3", None),
        ("4", MalformedRecordError),
        ("5", None),
        (f"{FILE}@{MIXED.index(STRAY) + 1}", MalformedRecordError),
        ("6", DocumentTooLargeError),
        ("7", None),
        ("8", None),
        ("8:chi", None),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000])
def test_the_size_of_the_pieces_makes_no_difference(size: int) -> None:
    assert list(map(repr, read(MIXED, size, limits=SMALL))) == list(map(repr, read(MIXED, limits=SMALL)))


@given(st.sets(st.integers(0, len(MIXED)), max_size=8))
def test_where_the_pieces_end_makes_no_difference(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(MIXED)]
    chunks = [MIXED[a:b] for a, b in pairwise(edges)]
    documents = list(read_pubmed(chunks, FILE, limits=SMALL))
    assert list(map(repr, documents)) == list(map(repr, read(MIXED, limits=SMALL)))


@given(st.integers(0, len(MIXED)))
def test_a_cut_file_gives_its_complete_records_and_an_error(cut: int) -> None:
    whole = read(MIXED, limits=SMALL)
    data = MIXED[:cut]
    if cut == len(MIXED) or data.rstrip().endswith(TAIL.strip().encode()):
        assert outcome(read(data, limits=SMALL)) == outcome(whole)
        return
    documents: list[Document] = []
    with pytest.raises(InputError):
        documents.extend(read_pubmed([data], FILE, limits=SMALL))
    good = [d.text for d in documents if not d.error]
    assert good == [d.text for d in whole if not d.error][: len(good)]
    assert len(good) >= data.count(b"</PubmedArticle>") - 3  # three of those end what is broken


@given(st.lists(st.tuples(st.integers(0, len(MIXED) - 1), st.integers(0, 255)), max_size=12))
@example([(30, 0)])  # in the name of the encoding
def test_damage_anywhere_never_raises_anything_else(damage: list[tuple[int, int]]) -> None:
    data = bytearray(MIXED)
    for place, byte in damage:
        data[place] = byte
    with suppress(InputError):
        read(bytes(data))


@given(st.integers(0, 4), st.binary(min_size=1, max_size=30))
def test_a_broken_record_does_not_harm_its_neighbours(broken: int, junk: bytes) -> None:
    records = [article(i).encode() for i in range(5)]
    place = records[broken].index(b"An abstract.")
    records[broken] = records[broken][:place] + b"<" + junk.replace(b">", b"<") + records[broken][place:]
    documents = read(HEAD.encode() + b"".join(records) + TAIL.encode())
    assert [(d.source_id, d.error is None) for d in documents] == [(str(i), i != broken) for i in range(5)]


# What is wrong


def neighbours(record: str | bytes, **limits: int) -> Document:
    """Read a record between two good ones, which must not suffer; gives its own document."""
    data = record if isinstance(record, bytes) else record.encode()
    xml = (HEAD + article(1)).encode() + data + (article(3) + TAIL).encode()
    before, document, after = read(xml, **limits)
    assert (before.source_id, before.text, after.source_id, after.text) == ("1", GOOD, "3", GOOD)
    return document


def test_broken_xml() -> None:
    document = neighbours(article(2, "<ArticleTitle>Not <i>closed</ArticleTitle>", version="4"))
    offset = len(HEAD + article(1))
    assert (document.source, document.source_id, document.version, document.text) == ("pubmed", "2", 4, "")
    assert isinstance(document.error, MalformedRecordError)
    assert f"{FILE}: PMID 2 at byte {offset}: Opening and ending tag mismatch" in str(document.error)


def test_bytes_that_are_not_utf8() -> None:
    document = neighbours(article(2).encode().replace(b"An abstract", b"An \xff\xfe abstract"))
    assert isinstance(document.error, MalformedRecordError)
    assert "PMID 2" in str(document.error)
    assert "encoding" in str(document.error)


def test_a_character_that_xml_forbids() -> None:
    assert isinstance(neighbours(article(2, "<ArticleTitle>\x01</ArticleTitle>")).error, MalformedRecordError)


@pytest.mark.parametrize("pmid", ["", " ", "<b/>"])
def test_a_record_without_pmid(pmid: str) -> None:
    document = neighbours(article(pmid))
    assert document.source_id == f"{FILE}@{len(HEAD + article(1))}"
    assert "a record without PMID" in str(document.error)


def test_parts_of_a_structured_abstract_and_identifiers() -> None:
    sections = (
        '<AbstractText Label="BACKGROUND">It hurts.</AbstractText><AbstractText Label="METHODS" NlmCategory="METHODS">'
        "We looked.</AbstractText><AbstractText>Alone.</AbstractText>"
    )
    record = article(1, "<ArticleTitle>Gout.</ArticleTitle>", f"<Abstract>{sections}</Abstract>").replace(
        '<ArticleId IdType="pubmed">77</ArticleId>',
        '<ArticleId IdType="doi">10.1000/x</ArticleId><ArticleId IdType="pmc">PMC7</ArticleId>',
    )
    cited = (
        "<ReferenceList><Reference><ArticleIdList><ArticleId IdType='doi'>10.1000/other</ArticleId></ArticleIdList>"
        "</Reference></ReferenceList></PubmedData>"
    )
    (document,) = read(HEAD + record.replace("</PubmedData>", cited) + TAIL)
    assert [(p.kind, p.section, document.text[p.start : p.end]) for p in document.parts] == [
        ("title", "", "Gout."),
        ("introduction", "BACKGROUND", "BACKGROUND: It hurts."),
        ("methods", "METHODS", "METHODS: We looked."),
        ("abstract", "", "Alone."),
    ]
    assert document.ids == {"pmid": "1", "doi": "10.1000/x", "pmcid": "PMC7"}


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("<ArticleTitle>[Not Available].</ArticleTitle><VernacularTitle>Titre.</VernacularTitle>", "Titre."),
        ("<ArticleTitle/><VernacularTitle>Titre.</VernacularTitle>", "Titre."),
        ("<ArticleTitle>Title.</ArticleTitle><VernacularTitle>Titre.</VernacularTitle>", "Title."),
        ("<ArticleTitle>[Not Available].</ArticleTitle>", ""),
        (
            '<ArticleTitle>Rate <mml:math xmlns:mml="m"><mml:semantics><mml:mi>k</mml:mi>'
            "<mml:annotation>\\kappa</mml:annotation></mml:semantics></mml:math> of loss</ArticleTitle>",
            "Rate k of loss",
        ),
        ("<ArticleTitle>One<p>two</p>three</ArticleTitle>", "One two three"),
    ],
)
def test_titles(title: str, text: str) -> None:
    assert one(1, title, "").text == text


def test_the_title_of_a_book() -> None:
    book = (
        "<PubmedBookArticle><BookDocument><PMID>5</PMID><Book><BookTitle>On gout</BookTitle><PubDate><Year>2019</Year>"
        "</PubDate></Book>{}<Abstract><AbstractText>It hurts.</AbstractText></Abstract></BookDocument>"
        "</PubmedBookArticle>"
    )
    whole, chapter = read(HEAD + book.format("") + book.format("<ArticleTitle>Toes</ArticleTitle>") + TAIL)
    assert (whole.title, whole.text, whole.year) == ("On gout", "On gout It hurts.", 2019)
    assert chapter.title == "Toes"


@pytest.mark.parametrize(
    ("others", "text"),
    [
        ('<OtherAbstract Language="eng"><AbstractText>English.</AbstractText></OtherAbstract>', "T. English."),
        ("<OtherAbstract><AbstractText>Untold.</AbstractText></OtherAbstract>", "T. Untold."),
        ('<OtherAbstract Language="fre"><AbstractText>Non.</AbstractText></OtherAbstract>', "T."),
    ],
)
def test_an_english_abstract_that_stands_elsewhere(others: str, text: str) -> None:
    record = article(1, "<ArticleTitle>T.</ArticleTitle>", "").replace(
        "</MedlineCitation>", others + "</MedlineCitation>"
    )
    (document,) = read(HEAD + record + TAIL)
    assert document.text == text
    with_own = record.replace("</Article>", "<Abstract><AbstractText>Own.</AbstractText></Abstract></Article>")
    assert [d.text for d in read(HEAD + with_own + TAIL)] == ["T. Own."]


def test_a_citation_without_article() -> None:
    document = neighbours("<PubmedArticle><MedlineCitation><PMID>2</PMID></MedlineCitation></PubmedArticle>")
    assert "without Article" in str(document.error)


def test_an_entity_bomb_does_nothing() -> None:
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 30))
    bomb = f'<!DOCTYPE PubmedArticleSet [<!ENTITY l0 "lol">{levels}]><PubmedArticleSet>'
    title = "<ArticleTitle>&l29;</ArticleTitle>"
    before, document, after = read(bomb + article(1) + article(2, title) + article(3) + TAIL)
    assert (before.text, after.text) == (GOOD, GOOD)
    assert isinstance(document.error, MalformedRecordError)
    assert "Entity 'l29' not defined" in str(document.error)


def test_an_external_entity_is_not_read(tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    root = f'<!DOCTYPE PubmedArticleSet [<!ENTITY x SYSTEM "file://{secret}">]><PubmedArticleSet>'
    (document,) = read(root + article(1, "<ArticleTitle>&x;</ArticleTitle>") + TAIL)
    assert document.error is not None
    assert "SECRET" not in document.text


def test_an_abstract_of_five_megabytes() -> None:
    abstract = f"<Abstract><AbstractText>{'word ' * 1_000_000}</AbstractText></Abstract>"
    document = neighbours(article(2, abstract=abstract))
    assert isinstance(document.error, DocumentTooLargeError)
    assert (document.source_id, document.text, document.title) == ("2", "", "")
    assert "PMID 2" in str(document.error)
    assert "the text has 5,000,008 characters, more than 2,000,000" in str(document.error)


def test_a_text_beyond_what_the_parser_takes() -> None:
    abstract = f"<Abstract><AbstractText>{'x' * 11_000_000}</AbstractText></Abstract>"
    assert isinstance(neighbours(article(2, abstract=abstract)).error, DocumentTooLargeError)


def test_the_limit_of_the_text() -> None:
    assert neighbours(article(2), limits=Limits(characters=len(GOOD))).text == GOOD
    documents = read(HEAD + article(2) + TAIL, limits=Limits(characters=len(GOOD) - 1))
    assert isinstance(documents[0].error, DocumentTooLargeError)


def test_a_record_that_is_too_large_is_not_held() -> None:
    size = 1 << 16
    held = 0

    def chunks() -> Iterator[bytes]:
        yield (HEAD + article(1) + "<PubmedArticle><MedlineCitation><PMID Version='2'>2</PMID><Article>").encode()
        for _ in range(500):
            yield b"<b>x</b>" * (size // 8)
        yield ("</Article></MedlineCitation></PubmedArticle>" + article(3) + TAIL).encode()

    import tracemalloc

    tracemalloc.start()
    documents = list(read_pubmed(chunks(), FILE, limits=Limits(record_bytes=10 * size)))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(d.source_id, d.version, type(d.error)) for d in documents] == [
        ("1", 1, type(None)),
        ("2", 2, DocumentTooLargeError),
        ("3", 1, type(None)),
    ]
    assert "more than 655,360 bytes" in str(documents[1].error)
    assert held < 30 * size


def test_deep_nesting() -> None:
    deep = "<ArticleTitle>" + "<i>" * 5000 + "x" + "</i>" * 5000 + "</ArticleTitle>"
    assert neighbours(article(2, deep)).error is not None


@pytest.mark.parametrize(
    ("xml", "read_before"),
    [
        (HEAD + article(1) + article(2)[:-30], ["1"]),
        (
            HEAD + article(1) + "<PubmedArticle><MedlineCitation><PMID>2</PMID>" + article(3) + "<PubmedArticle>",
            ["1", "2", "3"],
        ),
        (HEAD + article(1) + article(2), ["1", "2"]),
        (HEAD, []),
    ],
)
def test_a_file_that_ends_too_early(xml: str, read_before: list[str]) -> None:
    documents: list[Document] = []
    with pytest.raises(TruncatedFileError, match=FILE):
        documents.extend(read_pubmed([xml.encode()], FILE))
    assert [d.source_id for d in documents] == read_before


def test_the_last_record_may_lack_its_end() -> None:
    broken = "<MedlineCitation><PMID>2</PMID>"
    deletions = "<DeleteCitation><PMID>3</PMID></DeleteCitation>"
    for rest, withdrawn in (("", []), (deletions, [("3", None), ("3:chi", None)])):
        xml = f"<MedlineCitationSet>{citation(1)}{broken}{rest}</MedlineCitationSet>"
        assert [(i, e) for i, _, e in outcome(read(xml))] == [("1", None), ("2", MalformedRecordError), *withdrawn]


@pytest.mark.parametrize("xml", ["<html><body>Not found</body></html>", "{}", "\ufeff", " "])
def test_what_is_no_pubmed_xml(xml: str) -> None:
    with pytest.raises(InputError, match=r"there is no PubMed record in it"):
        read(xml)


# Encodings


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "utf-8", "UTF-8", "us-ascii"])
def test_the_declared_encoding(encoding: str) -> None:
    title = "Sjögren" if encoding != "us-ascii" else "Sjogren"
    xml = HEAD.replace("UTF-8", encoding) + article(1, f"<ArticleTitle>{title}</ArticleTitle>", "") + TAIL
    assert outcome(read(xml.encode(encoding), size=10)) == [("1", title, None)]


def test_chinese_encodings() -> None:
    xml = HEAD.replace("UTF-8", "GB18030") + article(1, f"<ArticleTitle>{CHINESE}</ArticleTitle>", "") + TAIL
    assert outcome(read(xml.encode("gb18030"), size=100)) == [("1", CHINESE, None)]


def test_undecodable_bytes_reject_only_their_record() -> None:
    records = (article(1) + article(2, "<ArticleTitle>@@</ArticleTitle>") + article(3) + TAIL).encode("gbk")
    xml = HEAD.replace("UTF-8", "GBK").encode() + records.replace(b"@@", b"\xff\xff")
    assert [(i, e) for i, _, e in outcome(read(xml))] == [("1", None), ("2", MalformedRecordError), ("3", None)]


def test_a_byte_order_mark() -> None:
    assert outcome(read(b"\xef\xbb\xbf" + (HEAD + article(1) + TAIL).encode())) == [("1", GOOD, None)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_encodings_cannot_be_read(encoding: str) -> None:
    with pytest.raises(InputError, match="convert the file to UTF-8"):
        read((HEAD.replace("UTF-8", encoding) + article(1) + TAIL).encode(encoding))


@pytest.mark.parametrize("encoding", ["klingon", "zlib_codec", "utf-7x", "cp037", "undefined"])
def test_unknown_encodings(encoding: str) -> None:
    with pytest.raises(InputError, match=f"XML in {encoding} cannot be read"):
        read(HEAD.replace("UTF-8", encoding) + article(1) + TAIL)
