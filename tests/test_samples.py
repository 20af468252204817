"""The sample documents are whole, varied and of the promised size."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from lxml import etree

from llmner.linking.lexicon import write_lexicon
from llmner.linking.readers import READERS
from llmner.sources import read_file
from llmner.sources.files import find_files

SAMPLES = Path(__file__).resolve().parents[1] / "configs" / "samples"


def flat(element: etree._Element | None) -> str:
    """All text of an element, in one line."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


@pytest.fixture(scope="module")
def articles() -> list[etree._Element]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.parse(SAMPLES / "pubmed_sample.xml", parser).getroot()
    assert root.tag == "PubmedArticleSet"
    return root.findall("PubmedArticle")


@pytest.fixture(scope="module")
def chinese() -> list[dict[str, str]]:
    """The records of the export by the tags of their fields."""
    content = (SAMPLES / "cnki_sample.net").read_bytes().decode("utf-8-sig")
    assert content.count("\n") == content.count("\r\n")
    return [
        dict(re.findall(r"(?m)^\{(.+?)\}: (.*)\r$", record)) for record in content.split("\r\n\r\n") if record.strip()
    ]


def abstract(article: etree._Element) -> str:
    return " ".join(flat(part) for part in article.iterfind(".//Abstract/AbstractText"))


def test_pubmed_identifiers_are_our_own_and_unique(articles: list[etree._Element]) -> None:
    pmids = [int(article.findtext("MedlineCitation/PMID")) for article in articles]
    assert pmids == list(range(99000001, 99000031))


def test_pubmed_abstracts_are_of_a_journals_length(articles: list[etree._Element]) -> None:
    words = [len(abstract(article).split()) for article in articles]
    assert words.count(0) == 1  # the record with a title alone
    assert all(90 <= n <= 230 for n in words if n)
    assert all(flat(article.find(".//ArticleTitle")) for article in articles)


@pytest.mark.parametrize(
    "path",
    [
        ".//AbstractText[@Label]",
        ".//AbstractText//i",
        ".//AbstractText//sub",
        ".//AbstractText//sup",
        ".//AbstractText/{http://www.w3.org/1998/Math/MathML}math",
        ".//OtherAbstract[@Language='chi']/AbstractText",
        ".//VernacularTitle",
    ],
)
def test_pubmed_sample_shows_every_markup(articles: list[etree._Element], path: str) -> None:
    assert any(article.find(path) is not None for article in articles)


def test_pubmed_sample_shows_every_kind_of_character(articles: list[etree._Element]) -> None:
    text = "\n".join(abstract(article) for article in articles)
    for what in (r"\[3H\]", "[α-ω]", "[\u0300-\u036f]", "±", "′", r"<"):
        assert re.search(what, text), what
    assert any(flat(article.find(".//ArticleTitle")).startswith("[") for article in articles)


def test_chinese_records_are_complete(chinese: list[dict[str, str]]) -> None:
    assert len(chinese) == len({record["Title"] for record in chinese}) == 20
    for record in chinese:
        assert 120 <= len(record["Abstract"]) <= 260
        assert record["Year"].isdecimal()
    assert sum("Translated Title" in record for record in chinese) == 2
    assert sum("Translated Abstract" in record for record in chinese) == 1
    text = "\n".join(record["Abstract"] for record in chinese)
    for what in (r"\[13C\]", "HbA1c", "PCR", "CT", "，", "。", "“", "（"):
        assert re.search(what, text), what


def test_the_export_is_read_as_it_is_written(chinese: list[dict[str, str]]) -> None:
    (file,) = find_files([str(SAMPLES / "cnki_sample.net")])
    documents = list(read_file(file))
    assert [d.source for d in documents] == ["noteexpress"] * 20
    assert [(d.title, d.year, d.lang) for d in documents] == [(r["Title"], int(r["Year"]), "zh") for r in chinese]
    for document, record in zip(documents, chinese, strict=True):
        parts = {(p.kind, p.lang): document.text[p.start : p.end] for p in document.parts}
        assert parts["abstract", "zh"] == record["Abstract"]
        assert parts.get(("title", "en")) == record.get("Translated Title")


def shared(texts: list[list[str]], size: int) -> list[str]:
    """Runs of ``size`` units that two of the texts have in common."""
    runs = [{tuple(units[i : i + size]) for i in range(len(units) - size + 1)} for units in texts]
    return [" ".join(run) for one, other in combinations(runs, 2) for run in one & other]


def test_no_two_abstracts_share_a_phrase(articles: list[etree._Element], chinese: list[dict[str, str]]) -> None:
    english = [re.findall(r"\w+", abstract(article).lower()) for article in articles]
    assert shared(english, 7) == []
    assert shared([list(record["Abstract"]) for record in chinese], 14) == []


def test_the_lexicon_names_things_of_both_languages(tmp_path: Path) -> None:
    counts = write_lexicon(READERS["tsv"]([str(SAMPLES / "lexicon.tsv")]), str(tmp_path / "lexicon.parquet"))
    assert set(counts) == {"chemical", "disease"}
    text = " ".join(p.read_text(encoding="utf-8") for p in SAMPLES.iterdir() if p.name != "lexicon.tsv")
    names = [name.name for name in READERS["tsv"]([str(SAMPLES / "lexicon.tsv")])]
    assert sum(name in text for name in names) > 0.7 * len(names)
