"""The registry: formats are told apart by their content, and a folder of all of them is read as a whole."""

from pathlib import Path

import pytest

from llmner.errors import ConfigError
from llmner.sources import read_file
from llmner.sources.files import find_files
from llmner.sources.format import by_name_only
from llmner.sources.registry import FORMATS, format_named, recognised

WITH_SIGNS = [f for f in FORMATS if f.recognises is not by_name_only and f.name != "parquet"]


def test_names_are_unique_and_found() -> None:
    assert len({f.name for f in FORMATS}) == len(FORMATS)
    assert all(format_named(f.name) is f for f in FORMATS)
    with pytest.raises(ConfigError, match=r"no such format: docx \(one of parquet, pubmed"):
        format_named("docx")


@pytest.mark.parametrize("format", WITH_SIGNS, ids=lambda f: f.name)
def test_the_example_of_a_format_is_recognised_by_it_alone(format) -> None:
    head = f"\ufeff \n{format.example}".encode()
    assert [f.name for f in FORMATS if f.recognises(head.removeprefix(b"\xef\xbb\xbf").lstrip())] == [format.name]
    if format.documents:
        assert recognised(head, "export.dat") is format


@pytest.mark.parametrize(
    ("content", "name", "format"),
    [
        (b"Gout hurts.", "a.txt", "text"),
        (b"{}", "a.json", "jsonl"),
        (b"<html/>", "a.xml", "pubmed"),
        (b"id,text", "a.csv", "table"),
        (b"anything", "a.dat", None),
        (b"11|t|Gout.\n", "a.csv", "pubtator"),
    ],
)
def test_the_name_decides_where_the_content_does_not(content: bytes, name: str, format: str | None) -> None:
    found = recognised(content, name)
    assert (found and found.name) == format


def test_a_folder_of_all_formats(tmp_path: Path) -> None:
    files = {
        "a.xml": '<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID><Article>'
        "<ArticleTitle>Gout.</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>",
        "b.xml": "<article><front><article-meta><title-group><article-title>Gout</article-title></title-group>"
        "</article-meta></front></article>",
        "c.xml": "<collection><document><id>5</id><passage><offset>0</offset><text>Gout.</text></passage></document>"
        "</collection>",
        "d.json": '{"protocolSection": {"identificationModule": {"nctId": "NCT1", "briefTitle": "Gout"}}}',
        "e.json": '{"id": "1", "passages": [{"offset": 0, "text": "Gout."}]}',
        "f.json": '[{"id": "1", "text": "Gout."}]',
        "g.net": "{Reference Type}: Journal Article\n{Title}: 痛风\n",
        "h.txt": "%0 Journal Article\n%T 痛风\n",
        "i.txt": "RT Journal Article\nT1 痛风\n",
        "j.txt": "Title-题名: 痛风\n",
        "k.txt": "11|t|Gout.\n",
        "l.txt": "Gout hurts.\n",
        "m.ris": "TY  - JOUR\nTI  - Gout\nER  - \n",
        "n.nbib": "PMID- 11\nTI  - Gout\n",
        "o.tsv": "id\ttext\n1\tGout.\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    documents = [d for file in find_files([str(tmp_path)]) for d in read_file(file)]
    assert [d.source for d in documents] == [
        *("pubmed", "jats", "bioc", "trials", "bioc", "jsonl", "noteexpress", "endnote", "refworks", "cnki"),
        *("pubtator", "text", "ris", "nbib", "table"),
    ]
    assert not any(d.error for d in documents)
    assert all("Gout" in d.text or "痛风" in d.text for d in documents)
