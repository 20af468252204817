"""XML that is not trusted: one hardened parser, and the cutting of a stream into records.

Key idea: a byte stream is cut into records at their tags, and each record is parsed alone. So memory is bounded by the
largest record, one broken record cannot harm its neighbours, and what a DOCTYPE declares is never seen: there is no
entity to expand.
"""

import html.entities
import re
from collections.abc import Collection, Iterable, Iterator
from xml.sax.saxutils import escape

from lxml import etree

from llmner.errors import DocumentTooLargeError, InputError, MalformedRecordError, TruncatedFileError
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.records import Record

_LONGEST_TAG = 64  # bytes at the end of what was read that may be the beginning of a tag
_NAMED_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*;)")
_XML_ENTITIES = {"amp;", "lt;", "gt;", "quot;", "apos;"}
_PREFIXES = {
    b"mml": b"http://www.w3.org/1998/Math/MathML",
    b"xlink": b"http://www.w3.org/1999/xlink",
    b"xsi": b"http://www.w3.org/2001/XMLSchema-instance",
    b"ali": b"http://www.niso.org/schemas/ali/1.0/",
}
_RESOURCE_LIMIT = 114  # libxml2's XML_ERR_RESOURCE_LIMIT: a single text node above 10 MB, or nesting above 256

_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    collect_ids=False,  # nothing here asks for elements by id; twice as fast without
    remove_comments=True,
    remove_pis=True,
)


def parse_xml(data: bytes, place: str, limits: Limits = DEFAULT_LIMITS) -> etree._Element:
    """Parse one record.

    What the DTD or the root of a file would have declared is declared anew: HTML's named entities and the usual
    prefixes. No other entity is resolved.

    Args:
        data: The record, in UTF-8.
        place: Where it is, for messages.
        limits: See ``Limits``.

    Raises:
        MalformedRecordError: It is not well-formed.
        DocumentTooLargeError: It goes beyond what the parser takes, or has too many elements.
    """
    if data.count(b"<") - data.count(b"</") > limits.values:
        message = f"{place}: it has more than {limits.values:,} elements"
        raise DocumentTooLargeError(message, hint="raise limits.values, or split it")
    try:
        return etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError:
        pass  # perhaps only for what the DTD or the root would have declared
    try:
        return etree.fromstring(_declared(data), _PARSER)
    except etree.XMLSyntaxError as e:
        kind = DocumentTooLargeError if getattr(e, "code", None) == _RESOURCE_LIMIT else MalformedRecordError
        raise kind(f"{place}: {e.msg}") from e


def _declared(data: bytes) -> bytes:
    """Return the record with HTML's named entities resolved and the usual prefixes declared."""
    data = _NAMED_ENTITY.sub(_character, data)
    name, tag, rest = re.split(rb"(?=[\s/>])", data, maxsplit=1)[0], *_first_tag(data)
    missing = [
        b' xmlns:%b="%b"' % (prefix, uri)
        for prefix, uri in _PREFIXES.items()
        if b"xmlns:%b=" % prefix not in tag and b"%b:" % prefix in data
    ]
    return b"".join([name, *missing, tag.removeprefix(name), rest])


def _first_tag(data: bytes) -> tuple[bytes, bytes]:
    """Return the begin tag of a record, without its end, and everything behind."""
    end = data.find(b">")
    return (data, b"") if end < 0 else (data[:end], data[end:])


def _character(entity: re.Match[bytes]) -> bytes:
    name = entity[1].decode()
    if name in _XML_ENTITIES or name not in html.entities.html5:
        return entity[0]
    return escape(html.entities.html5[name]).encode()


def xml_records(chunks: Iterable[bytes], tag: str, url: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Record]:
    """Cut a stream into the elements of a name, which do not hold each other.

    A record ends with its end tag. One that begins inside another shows that the other has lost its end tag.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        tag: Name of the elements.
        url: Where the file is, for messages.
        limits: See ``Limits``.

    Yields:
        The records in order.
    """
    edge = re.compile(rb"<(?P<end>/)?%b(?=[\s/>])" % tag.encode())
    buffer = bytearray()
    base = begin = scan = number = 0
    inside = False

    def record(end: int) -> Record:
        if end - begin > limits.record_bytes:
            return Record(number, base + begin, b"").too_large(url, limits.record_bytes)
        return Record(number, base + begin, bytes(buffer[begin:end]))

    for chunk in chunks:
        del buffer[:begin]
        base, scan, begin = base + begin, scan - begin, 0
        buffer += chunk
        while found := edge.search(buffer, scan):
            if found["end"]:
                close = buffer.find(b">", found.end())
                if close < 0:
                    break
                if inside:
                    yield record(close + 1)
                inside = False
                begin = scan = close + 1
            else:
                if inside:
                    yield record(found.start())
                number += 1
                inside = True
                begin, scan = found.start(), found.end()
        else:
            scan = max(scan, len(buffer) - _LONGEST_TAG)
        if inside and len(buffer) - begin > limits.record_bytes:
            yield record(len(buffer))
            inside = False
        if not inside:
            begin = scan
    if inside:
        cut = Record(number, base + begin, bytes(buffer[begin:]))
        message = f"{cut.place(url)}: the file ends in it"
        yield cut._replace(error=TruncatedFileError(message, hint="fetch the file again"))
    elif not number:
        raise InputError(f"{url}: there is no <{tag}> in it", hint="is it of this format?")


# Elements that a reader sees as blocks of their own, in PubMed, JATS and BioC.
_BLOCKS = {"abstract", "AbstractText", "boxed-text", "break", "caption", "disp-formula", "disp-quote", "fig", "fn"}
_BLOCKS |= {"def-item", "def-list", "label", "list", "list-item", "p", "sec", "speech", "statement", "title"}
_BLOCKS |= {"table", "table-wrap", "tbody", "td", "tfoot", "th", "thead", "tr", "trans-title", "verse-line"}
_NO_TEXT = {"annotation", "annotation-xml", "tex-math"}  # markup that is no text


def text_of(element: etree._Element | None, *, without: Collection[str] = ()) -> str:
    """Flatten an element to text: inline markup disappears, blocks stand apart, runs of white space are one blank.

    Args:
        element: The element; None is an empty one.
        without: Names of elements that are left out with all they hold.
    """
    if element is None:
        return ""
    if not len(element):
        return " ".join(element.text.split()) if element.text else ""
    pieces: list[str] = []
    _collect(element, without, pieces)
    return " ".join("".join(pieces).split())


def _collect(element: etree._Element, without: Collection[str], pieces: list[str]) -> None:
    """Add the texts in an element to the pieces."""
    if text := element.text:
        pieces.append(text)
    for child in element:
        name = child.tag.rpartition("}")[2]
        block = name in _BLOCKS
        if block:
            pieces.append(" ")
        if name not in _NO_TEXT and name not in without:
            _collect(child, without, pieces)
        if block:
            pieces.append(" ")
        if tail := child.tail:
            pieces.append(tail)
