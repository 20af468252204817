"""Files as they are published, in the folder that LLMNER_RAW names: as many records as an independent count finds."""

import os
import re
from pathlib import Path

import pytest
from lxml import etree

from llmner.sources import read_file
from llmner.sources.files import SourceFile, find_files
from llmner.sources.opening import read_chunks

RAW = os.environ.get("LLMNER_RAW", "")
pytestmark = pytest.mark.skipif(not RAW, reason="LLMNER_RAW names no folder")

# How a record begins, for counting without a reader.
BEGINS = {
    "noteexpress": rb"(?m)^\{Reference Type\}",
    "endnote": rb"(?m)^%0 ",
    "refworks": rb"(?m)^RT ",
    "pubtator": rb"(?m)^[^|\t\n]+\|t\|",
    "jats": rb"<article[ >]",
}


def files() -> list[SourceFile]:
    return find_files([RAW]) if RAW else []


@pytest.mark.parametrize("file", files(), ids=lambda f: f.name)
def test_no_record_is_lost_and_every_mention_sits_on_its_text(file: SourceFile) -> None:
    documents = list(read_file(file))
    assert documents
    assert [str(d.error) for d in documents if d.error] == []
    content = b"".join(read_chunks(file.url))
    source = documents[0].source
    if source == "bioc":
        expected = content.count(b"<document>") or len(re.findall(rb'"passages"', content))
    elif source == "pubmed":
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        root = etree.fromstring(content, parser)
        expected = len(list(root.iter("MedlineCitation", "BookDocument"))) + len(root.findall("DeleteCitation/PMID"))
    else:
        expected = len(re.findall(BEGINS[source], content))
    assert len([d for d in documents if not d.source_id.endswith(":chi")]) == expected
    if source == "pubtator" or (source == "bioc" and b"everything" not in file.name.encode()):
        assert sum(len(d.annotations.problems) for d in documents if d.annotations) == 0
    for document in documents:
        position = 0
        for part in document.parts:
            assert not document.text[position : part.start].strip()
            position = part.end
        assert position == len(document.text)


@pytest.mark.parametrize("file", [f for f in files() if f.name.endswith(".nxml")], ids=lambda f: f.name)
def test_the_text_of_an_article_covers_its_paragraphs(file: SourceFile) -> None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = etree.fromstring(Path(file.url).read_bytes(), parser)
    (document,) = read_file(file)
    text = squeezed(document.text)
    for paragraph in root.iterfind("body//p"):
        if paragraph.find(".//table-wrap") is None and paragraph.find(".//fig") is None:
            assert squeezed("".join(t for t in strings(paragraph))) in text


def strings(element: etree._Element) -> list[str]:
    """The strings of an element without TeX and what else is no text."""
    for tex in element.iter("tex-math", "annotation", "graphic"):
        tex.text = None
    return [str(s) for s in element.itertext()]


def squeezed(text: str) -> str:
    return "".join(text.split())
