"""JATS full text, as PubMed Central publishes it: articles in files, collections and bundles.

Invariant: every paragraph, heading, caption, table row and footnote of front, body and floats is a part of its own, in
the order of the article, under the headings that it has there; white space is collapsed, nothing else is changed.
"""

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import rejected
from llmner.sources.format import Format
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.records import Record
from llmner.sources.sections import kind_of
from llmner.sources.texts import Piece, compose
from llmner.sources.xml_records import parse_xml, text_of, xml_records

SOURCE = "jats"

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_APART = {"boxed-text", "fig", "fig-group", "fn", "media", "supplementary-material", "table-wrap", "table-wrap-group"}
_TEXTS = {"attrib", "def", "disp-formula", "p", "preformat", "speech", "statement", "term", "title", "verse-line"}
_LEFT_OUT = {"alternatives", "graphic", "label", "object-id", "permissions", "ref-list", "sec-meta"}
_KINDS = {"caption": "caption", "fn": "footnote", "table-wrap-foot": "footnote"}
_OPEN_KINDS = {"abstract", "text"}  # sections that a heading inside may tell more of
_MARK = re.compile(rb"<article[\s>](?=.{0,4000}<front)|<!DOCTYPE article|<pmc-articleset", re.DOTALL)
_SCHEMES = {"pmid": "pmid", "pmc": "pmcid", "pmcid": "pmcid", "doi": "doi"}


def read_jats(chunks: Iterable[bytes], source_file: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Read the articles of a JATS file.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        limits: See ``Limits``.

    Yields:
        Documents in order. An article that cannot be read is a document with an error.

    Raises:
        InputError: There is no article in it.
    """
    for record in xml_records(chunks, "article", source_file, limits=limits):
        try:
            yield _document(record, source_file, limits)
        except InputError as e:
            yield rejected(SOURCE, source_file, record.number, e)


def _document(record: Record, source_file: str, limits: Limits) -> Document:
    place = record.place(source_file)
    if record.error:
        raise record.error
    article = parse_xml(record.data, place, limits)
    meta = article.find("front/article-meta")
    if meta is None:
        raise MalformedRecordError(f"{place}: an article without front matter")
    lang = article.get(_LANG)
    ids = _ids(meta)
    return compose(
        SOURCE,
        ids.get("pmcid") or ids.get("pmid") or ids.get("doi") or f"{source_file}:{record.number}",
        source_file,
        [*_front(meta, lang), *_parts(article, lang)],
        separator="\n",
        place=place,
        limits=limits,
        year=_year(meta),
        ids=ids,
    )


def _front(meta: etree._Element, lang: str | None) -> Iterator[Piece]:
    """Titles and abstracts, those in other languages behind them."""
    yield Piece(text_of(meta.find("title-group/article-title"), without=("fn", "xref")), "title", tag=lang)
    yield Piece(text_of(meta.find("title-group/subtitle")), "title", tag=lang)
    for abstract in meta.iterchildren("abstract"):
        yield from _walk(abstract, "abstract", "", abstract.get(_LANG, lang))
    for title in meta.iterfind("title-group/trans-title-group"):
        yield Piece(text_of(title.find("trans-title")), "title", tag=title.get(_LANG))
    for abstract in meta.iterchildren("trans-abstract"):
        yield from _walk(abstract, "abstract", "", abstract.get(_LANG))


def _parts(article: etree._Element, lang: str | None) -> Iterator[Piece]:
    """Yield the parts of body and floats."""
    for element in article.iterchildren("body", "floats-group"):
        yield from _walk(element, "text", "", lang)


def _walk(element: etree._Element, kind: str, section: str, lang: str | None) -> Iterator[Piece]:
    """Yield the parts in an element, in order.

    Args:
        element: A section, or anything else that holds text.
        kind: Kind of the section.
        section: The headings above.
        lang: What the article says of its language.
    """
    for child in element.iterchildren(etree.Element):
        yield from _piece(child, kind, section, lang)


def _piece(element: etree._Element, kind: str, section: str, lang: str | None) -> Iterator[Piece]:
    """Yield the parts that an element is."""
    tag = element.tag
    if tag == "sec":
        heading = text_of(element.find("title"))
        if kind in _OPEN_KINDS:
            kind = kind_of(heading or element.get("sec-type", ""), kind)
        section = " > ".join(filter(None, (section, heading)))
    elif tag in _KINDS:
        kind = _KINDS[tag]
    if tag == "tr":
        cells = (text_of(cell) for cell in element.iterchildren("td", "th"))
        yield Piece("\t".join(cell for cell in cells if cell), "table", section, lang)
    elif tag in _TEXTS:
        yield Piece(text_of(element, without=_APART), kind, section, lang)
        for inside in _outermost(element):
            yield from _piece(inside, kind, section, lang)
    elif tag not in _LEFT_OUT:
        yield from _walk(element, kind, section, lang)


def _outermost(element: etree._Element) -> Iterator[etree._Element]:
    """Yield the elements inside a text that are parts of their own."""
    for child in element.iterchildren(etree.Element):
        if child.tag in _APART:
            yield child
        else:
            yield from _outermost(child)


def _ids(meta: etree._Element) -> dict[str, str]:
    given = ((e.get("pub-id-type", ""), (e.text or "").strip()) for e in meta.iterchildren("article-id"))
    ids = {_SCHEMES[kind]: value for kind, value in given if kind in _SCHEMES and value}
    if ids.get("pmcid", "").isdecimal():
        ids["pmcid"] = f"PMC{ids['pmcid']}"
    return ids


def _year(meta: etree._Element) -> int | None:
    """Return the first year of publication that is given."""
    years = (text_of(e) for e in meta.iterfind("pub-date/year"))
    return next((int(year) for year in years if year.isdecimal() and len(year) == 4), None)


FORMAT = Format(
    name=SOURCE,
    title="JATS full text (PMC)",
    suffixes=(".nxml", ".xml"),
    read=lambda content: read_jats(content.chunks, content.url, limits=content.limits),
    recognises=lambda head: _MARK.search(head) is not None,
    keeps="PMCID, PMID, DOI, titles, abstracts, sections, captions, tables, footnotes, year",
    drops="references, back matter, TeX, graphics, sub-articles",
    example="<article><front><article-meta><title-group><article-title>Gout</article-title>",
)
