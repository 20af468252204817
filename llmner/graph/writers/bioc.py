"""BioC as XML: a passage for the title and one for the rest, mentions as annotations.

Invariant: a document at a time is in memory. A document with a mention across the border of its title has one
passage.
"""

import re

from lxml import etree

from llmner import storage
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import write_text
from llmner.graph.writers.texts import AnnotatedText, Annotation, annotated_texts, deleted_ids

_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


def write_bioc(rows: Rows, out: str) -> None:
    """Write ``documents.xml``, and for a difference ``deleted.txt``."""
    with (
        storage.write_stream(storage.join(out, "documents.xml")) as stream,
        etree.xmlfile(stream, encoding="utf-8") as xml,
    ):
        xml.write_declaration()
        xml.write_doctype('<!DOCTYPE collection SYSTEM "BioC.dtd">')
        with xml.element("collection"):
            for tag, text in (("source", "llmner"), ("date", ""), ("key", "llmner.key")):
                xml.write(_element(tag, text))
            for document in annotated_texts(rows):
                xml.write(_document(document))
    if rows.since is not None:
        write_text(storage.join(out, "deleted.txt"), "".join(f"{id}\n" for id in deleted_ids(rows)))


def _document(document: AnnotatedText) -> etree._Element:
    text = _NOT_XML.sub(" ", document.text)
    border = document.title
    if any(a.start <= border < a.end for a in document.annotations):
        border = 0
    element = etree.Element("document")
    element.append(_element("id", document.id))
    passages = [("title", 0, border), ("abstract", border + 1, len(text))] if border else [("text", 0, len(text))]
    number = 0
    for type, start, end in passages:
        passage = etree.SubElement(element, "passage")
        passage.append(_element("infon", type, key="type"))
        passage.append(_element("offset", str(start)))
        passage.append(_element("text", text[start:end]))
        for annotation in document.annotations:
            if start <= annotation.start and annotation.end <= end:
                number += 1
                passage.append(_annotation(annotation, text, number))
    return element


def _annotation(annotation: Annotation, text: str, number: int) -> etree._Element:
    element = etree.Element("annotation", id=str(number))
    element.append(_element("infon", annotation.type, key="type"))
    if annotation.concepts:
        element.append(_element("infon", ";".join(annotation.concepts), key="identifier"))
    length = annotation.end - annotation.start
    etree.SubElement(element, "location", offset=str(annotation.start), length=str(length))
    element.append(_element("text", text[annotation.start : annotation.end]))
    return element


def _element(tag: str, text: str, **attributes: str) -> etree._Element:
    element = etree.Element(tag, attributes)
    element.text = text
    return element
