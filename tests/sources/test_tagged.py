"""Exports of literature databases: every dialect says the same, in every encoding; what is broken is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import Document
from llmner.sources.citations import FORMATS
from llmner.sources.format import Content
from llmner.sources.registry import recognised

TITLE, ABSTRACT = "痛风的治疗", "目的：观察秋水仙碱。\n方法：选取患者，予别嘌醇。"
ENGLISH_TITLE, ENGLISH = "Treatment of gout", "Colchicine was given. It helped."

NOTEEXPRESS = f"""\
{{Reference Type}}: Journal Article
{{Title}}: {TITLE}
{{Translated Title}}: {ENGLISH_TITLE}
{{Author}}: 甲;乙;
{{Year}}: 2019
{{Abstract}}：{ABSTRACT}
{{Translated Abstract}}: {ENGLISH}
{{DOI}}: 10.1234/j.issn.1000-0000.2019.01.001
"""
ENDNOTE = f"""\
%0 Journal Article
%A 甲
%T {TITLE}
%D 2019
%X {ABSTRACT}
%R 10.1234/j.issn.1000-0000.2019.01.001
%W CNKI
"""
REFWORKS = f"""\
RT Journal Article
SR 1
A1甲;乙
T1 {TITLE}
YR 2019
AB {ABSTRACT}
DO 10.1234/j.issn.1000-0000.2019.01.001
"""
CNKI = f"""\
SrcDatabase-来源库: 期刊
Title-题名: {TITLE}
Author-作者: 甲;乙;
Summary-摘要: {ABSTRACT}
PubTime-发表时间: 2019-01-02 08:00
DOI-DOI: 10.1234/j.issn.1000-0000.2019.01.001
"""
ESTUDY = f"""\
DataType: 1
Title-题名: {TITLE}
Source-刊名: 杂志
Year-年: 2019
Summary-摘要: {ABSTRACT}
DOI-DOI: 10.1234/j.issn.1000-0000.2019.01.001
"""
EXPORTS = {
    "noteexpress": NOTEEXPRESS,
    "endnote": ENDNOTE,
    "refworks": REFWORKS,
    "cnki": CNKI,
    "cnki e-study": ESTUDY,
}


def read(data: bytes, format: str, size: int = 7) -> list[Document]:
    (reader,) = (f for f in FORMATS if f.name == format)
    chunks = (data[i : i + size] for i in range(0, len(data), size))
    return list(reader.read(Content("f", chunks)))


def parts(document: Document) -> list[tuple[str, str, str]]:
    return [(p.kind, p.lang, document.text[p.start : p.end]) for p in document.parts]


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("between", ["", "\n", "\n\n"])
def test_each_export_gives_the_same(name: str, encoding: str, line_end: str, between: str) -> None:
    export, format = EXPORTS[name], name.partition(" ")[0]
    data = between.join([export, export.replace("秋水仙碱", "泼尼松")]).replace("\n", line_end).encode(encoding)
    found = recognised(data[:1000], "export.txt")
    assert found is not None
    assert found.name == format
    one, two = read(data, format)
    assert (one.source, one.source_id) == (format, "10.1234/j.issn.1000-0000.2019.01.001")
    assert (one.title, one.year, one.lang) == (TITLE, 2019, "zh")
    assert one.ids == {"doi": "10.1234/j.issn.1000-0000.2019.01.001"}
    assert parts(one)[:2] == [("title", "zh", TITLE), ("abstract", "zh", ABSTRACT)]
    assert parts(two)[1] == ("abstract", "zh", ABSTRACT.replace("秋水仙碱", "泼尼松"))


def test_the_other_language_is_a_part_of_its_own() -> None:
    (document,) = read(NOTEEXPRESS.encode(), "noteexpress")
    assert parts(document)[2:] == [("title", "en", ENGLISH_TITLE), ("abstract", "en", ENGLISH)]
    assert document.lang == "zh"


def test_a_record_without_abstract_is_its_title_and_without_doi_is_named_by_its_text() -> None:
    one, again, other = read("%0 News\n%T 新闻\n\n%0 News\n%T 新闻\n\n%0 News\n%T 别的\n".encode(), "endnote")
    assert (one.text, one.title, one.error) == ("新闻", "新闻", None)
    assert one.source_id == again.source_id != other.source_id


RIS = """\
TY  - JOUR
TI  - Treatment of gout with
      colchicine
AB  - Colchicine was given.
PY  - 2019/01/02/
DO  - 10.1000/x(1)
LA  - English
ER  -

TY  - JOUR
T1  - Goutte
N2  - La colchicine est utile.
LA  - fr
ER  -
"""
NBIB = """\
PMID- 11
OWN - NLM
LID - S0000-0000(19)00001-1 [pii]
LID - 10.1000/x.1 [doi]
TI  - Treatment of gout
      with colchicine.
AB  - BACKGROUND: It hurts.
      METHODS: NK cells were counted.
DP  - 2019 Jan
PMC - PMC7

PMID- 12
TI  - Pain.
"""


def test_ris() -> None:
    one, two = read(RIS.encode(), "ris")
    assert (one.text, one.year, one.source_id) == (
        "Treatment of gout with colchicine\nColchicine was given.",
        2019,
        "10.1000/x(1)",
    )
    assert (two.lang, [p.lang for p in two.parts]) == ("fr", ["fr", "fr"])


def test_medline() -> None:
    one, two = read(NBIB.encode(), "nbib")
    assert one.text == "Treatment of gout with colchicine.\nBACKGROUND: It hurts. METHODS: NK cells were counted."
    assert (one.source_id, one.year, one.ids) == ("11", 2019, {"pmid": "11", "pmcid": "PMC7", "doi": "10.1000/x.1"})
    assert (two.source_id, two.text) == ("12", "Pain.")


def test_a_broken_record_costs_none_other() -> None:
    data = b"\n".join([ENDNOTE.encode(), b"%0 Journal Article\n%T \xff\xff", b"%0 Journal Article\n%T Good"])
    one, broken, two = read(data, "endnote")
    assert (one.title, two.title) == (TITLE, "Good")
    offset = data.index(b"\xff")
    assert str(broken.error).startswith(f"f: record 2 at byte {data.index(b'%0', 50)}: not utf-8 at byte {offset}")


def test_a_line_that_only_begins_as_a_field_costs_its_record_alone() -> None:
    data = b"%0 Journal Article\n%T Good\n%0" + b"\r" * 100 + b"x\n%T Bad\n%0 Journal Article\n%T Good, too"
    one, broken, two = read(data, "endnote")
    assert (one.title, two.title) == ("Good", "Good, too")
    assert "begins no field" in str(broken.error)


@given(
    st.lists(st.tuples(st.text("痛风，a %{}:-\n", max_size=20), st.text("病毒。b T1 AB\n", max_size=30)), min_size=1)
)
def test_round_trip(records: list[tuple[str, str]]) -> None:
    # A line that begins as a field does is one: nothing tells it from a field.
    records = [(t.replace("\n%", "\n").replace("\n{", "\n"), a) for t, a in records]
    records = [(f"题{title}".strip(), f"摘{abstract}".strip()) for title, abstract in records]
    notes = "\n".join(f"{{Reference Type}}: Article\n{{Title}}: {t}\n{{Abstract}}: {a}\n" for t, a in records)
    ends = "\n".join(f"%0 Article\n%T {t}\n%X {a}\n" for t, a in records)
    for text, format in ((notes, "noteexpress"), (ends, "endnote")):
        documents = read(text.encode(), format)
        assert [[p[2] for p in parts(d)] for d in documents] == [list(record) for record in records]
