"""PubMed XML: baseline and update files, in today's layout (``PubmedArticle``) and in that of before 2017.

The stream is cut into records as ``xml_records`` describes; the cutting here also knows of sets, of deletions and of
records that have lost a tag.

Invariant: each record gives one document (two where it has a Chinese abstract too), or one rejected document, and each
deletion a withdrawn document for either; the text is title, one space, abstract, white space collapsed and otherwise
untouched.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from lxml import etree

from llmner.documents import PUBMED, Document
from llmner.errors import DocumentTooLargeError, InputError, MalformedRecordError, TruncatedFileError
from llmner.sources.format import Format, peek
from llmner.sources.languages import has_chinese
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.sections import kind_of
from llmner.sources.texts import Piece, compose
from llmner.sources.xml_records import parse_xml, text_of

SOURCE = PUBMED

_DECLARATION = 256  # bytes in which the XML declaration ends
_HEAD = 4096  # bytes of a record in which its PMID is looked for when it cannot be parsed
_LONGEST_TAG = 64  # bytes at the end of what was read that may be the beginning of a tag
_LONGEST_PMID = 256  # bytes of an element that names a deleted PMID
_DELETION = b"DeleteCitation"

# Between records: the next one begins, a set begins or ends, deletions begin or end, one of them names a PMID, or a
# record ends that never began.
_NEXT = re.compile(
    rb"<(?:(?P<record>PubmedArticle|PubmedBookArticle|MedlineCitation)[\s/>]|(?P<close>/?)\w{1,40}Set[\s>]"
    rb"|(?P<deletions>/?)DeleteCitation[\s>]|(?P<deleted>PMID)[\s>]|(?P<stray>/(?:MedlineCitation|BookDocument))[\s>])"
)
# A record ends with the tag of its kind. If deletions or the end of the set come first, that tag is missing.
# What both ways begin with stands before them, so that the search passes from one such character to the next.
_ARTICLE_END = re.compile(
    rb"<(?:/Pubmed(?:Book)?Article\s{0,8}>|(?P<next>/Pubmed(?:Book)?ArticleSet\s{0,8}>|DeleteCitation[\s>]))"
)
_CITATION_END = re.compile(rb"<(?:/MedlineCitation\s{0,8}>|(?P<next>/MedlineCitationSet\s{0,8}>|DeleteCitation[\s>]))")
_END = {b"PubmedArticle": _ARTICLE_END, b"PubmedBookArticle": _ARTICLE_END, b"MedlineCitation": _CITATION_END}
_SET_END = re.compile(rb"</\w{1,40}Set\s{0,8}>")

_PMID = re.compile(rb"<PMID([^<>]{0,80})>\s{0,40}(\d{1,12})\s{0,40}</PMID")
_VERSION = re.compile(rb"""Version=["'](\d{1,4})["']""")
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_NO_TITLE = re.compile(r"\[?(?:not available|no title available|untitled)\]?\.?", re.IGNORECASE)
_SCHEMES = {"doi": "doi", "pmc": "pmcid"}
_DATES = (("Journal", "JournalIssue", "PubDate"), ("ArticleDate",), ("Book", "PubDate"))
_ENCODING = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")


class _Record(NamedTuple):
    """The bytes of a record, from the first of its begin tag; ``offset`` is their place in the uncompressed file.

    With an ``error`` the record is not whole, and the bytes are a part of it.
    """

    name: bytes
    data: bytes
    offset: int
    error: InputError | None = None


def read_pubmed(chunks: Iterable[bytes], source_file: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Read the documents of a PubMed file.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        limits: See ``Limits``.

    Yields:
        Documents in the order of the file. A record that cannot be read is a document with an error.

    Raises:
        InputError: This is no PubMed XML, or in an encoding that cannot be read. Nothing was read.
        TruncatedFileError: The file ends before its end. All complete records were read.
    """
    head, chunks = peek(chunks, _DECLARATION)
    encoding = _encoding(head, source_file)
    for record in _cut(chunks, source_file, limits.record_bytes):
        yield from _read_record(record, encoding, source_file, limits)


def _encoding(head: bytes, source_file: str) -> str | None:
    """Return the encoding that the XML declaration names; None for UTF-8."""
    declared = _ENCODING.match(head)
    encoding = declared[1].decode("ascii", "replace") if declared else "utf-8"
    try:
        # Tags are looked for in the bytes, so they must be the bytes of ASCII.
        readable = b"\0" not in head[:4] and b"<PMID>".decode(encoding) == "<PMID>"
    except (LookupError, UnicodeError):
        readable = False
    if not readable:
        message = f"{source_file}: XML in {encoding if declared else 'UTF-16 or UTF-32'} cannot be read"
        raise InputError(message, hint="convert the file to UTF-8")
    return None if codecs.lookup(encoding).name in ("utf-8", "ascii") else encoding


def _cut(chunks: Iterable[bytes], source_file: str, max_record: int) -> Iterator[_Record]:
    """Cut a file into its records."""
    buffer = bytearray()
    base = 0  # offset of the buffer in the file
    begin = 0  # of the record in the buffer, or of what follows the last one
    scan = 0  # where to go on looking for the next tag
    name: bytes | None = None  # of the record that is being read; None between records
    known = opened = False  # whether this is PubMed XML at all; whether a set has begun and not ended
    skipping = False  # inside a record that is too large
    deleting = False  # inside the list of deletions
    for chunk in chunks:
        del buffer[:begin]
        base, scan, begin = base + begin, scan - begin, 0
        buffer += chunk
        while True:
            pattern = _NEXT if name is None else _END[name]
            if (tag := pattern.search(buffer, scan)) is None:
                scan = max(scan, len(buffer) - _LONGEST_TAG)
                if name is None:
                    begin = scan
                elif scan - begin > max_record:
                    yield _too_large(name, buffer, begin, base, max_record, source_file)
                    name, begin, skipping = None, scan, True
                break
            if name is not None:
                end = tag.start() if tag["next"] else tag.end()
                if end - begin > max_record:
                    yield _too_large(name, buffer, begin, base, max_record, source_file)
                else:
                    yield _Record(name, bytes(buffer[begin:end]), base + begin)
                name, begin, scan = None, end, end
            elif tag["record"]:
                name, begin, scan = tag["record"], tag.start(), tag.end()
                known, skipping, deleting = True, False, False
            else:
                if tag["stray"] and not skipping:
                    message = f"{source_file}: byte {base + tag.start():,}: a record ends here that does not begin"
                    yield _Record(b"", b"", base + tag.start(), MalformedRecordError(message))
                elif tag["deletions"] is not None:
                    deleting, skipping = not tag["deletions"], False
                elif tag["deleted"] and deleting:
                    element = bytes(buffer[tag.start() : tag.start() + _LONGEST_PMID])
                    if len(element) < _LONGEST_PMID and b"</PMID" not in element:
                        begin = scan = tag.start()
                        break
                    yield _deletion(element, base + tag.start(), source_file)
                elif tag["close"] is not None:
                    known, opened = True, not tag["close"]
                begin = scan = tag.end()
    hint = "fetch the file again"
    if name is not None:
        if set_end := _SET_END.search(buffer, begin):
            opened = False
        error = TruncatedFileError(f"{source_file}: the file ends in the record at byte {base + begin}", hint=hint)
        end = set_end.start() if set_end else len(buffer)
        yield _Record(name, bytes(buffer[begin:end]), base + begin, None if set_end else error)
    if opened:
        raise TruncatedFileError(f"{source_file}: the file ends before the end tag of its set", hint=hint)
    if not known:
        raise InputError(f"{source_file}: there is no PubMed record in it", hint="is it PubMed XML?")


def _deletion(element: bytes, offset: int, source_file: str) -> _Record:
    """Return a deletion as a record; ``element`` begins with its PMID."""
    if pmid := _PMID.match(element):
        return _Record(_DELETION, pmid[0], offset)
    message = f"{source_file}: byte {offset:,}: a deletion without a PMID"
    return _Record(_DELETION, element, offset, MalformedRecordError(message, hint="fetch the file again"))


def _too_large(name: bytes, buffer: bytearray, begin: int, base: int, max_record: int, source_file: str) -> _Record:
    record = _Record(name, bytes(buffer[begin : begin + _HEAD]), base + begin)
    message = f"{_place(record, source_file)}: the record has more than {max_record:,} bytes"
    return record._replace(error=DocumentTooLargeError(message, hint="raise limits.record_bytes, or split it"))


def _read_record(record: _Record, encoding: str | None, source_file: str, limits: Limits) -> Iterator[Document]:
    """Yield the documents of a record, or one with the error that it has."""
    error = record.error
    if record.name == _DELETION and error is None:
        yield from _withdrawn(record, source_file)
        return
    if error is None:
        try:
            documents = _documents(_parse(record, encoding, source_file, limits), record, source_file, limits)
        except InputError as e:
            error = e
        else:
            yield from documents
            return
    parts = [] if isinstance(record.error, DocumentTooLargeError) else _split(record)
    if len(parts) > 1:
        for part in parts:
            yield from _read_record(part, encoding, source_file, limits)
    elif isinstance(error, TruncatedFileError):
        raise error
    else:
        yield _rejected(record, error, source_file)


def _split(record: _Record) -> list[_Record]:
    """Cut a broken record where other records begin in it: it has lost its end tag and swallowed them."""
    begins = [tag for tag in _NEXT.finditer(record.data) if tag["record"]]
    if record.name != b"MedlineCitation":
        begins = [tag for tag in begins if tag["record"] != b"MedlineCitation"]
    edges = [*(tag.start() for tag in begins), len(record.data)]
    parts = []
    for begin, end in zip(begins, edges[1:], strict=True):
        own_end = _END[begin["record"]].search(record.data, begin.end(), end)
        data = record.data[begin.start() : own_end.end() if own_end else end]
        error = record.error if end == len(record.data) and not own_end else None
        parts.append(_Record(begin["record"], data, record.offset + begin.start(), error))
    return parts


def _parse(record: _Record, encoding: str | None, source_file: str, limits: Limits) -> etree._Element:
    """Parse one record.

    Raises:
        MalformedRecordError: It is not well-formed, or has bytes that are not of its encoding.
        DocumentTooLargeError: It goes beyond what the parser takes.
    """
    data = record.data
    if encoding:
        try:
            data = data.decode(encoding).encode()
        except UnicodeError as e:
            raise MalformedRecordError(f"{_place(record, source_file)}: {e}") from e
    return parse_xml(data, _place(record, source_file), limits)


def _documents(root: etree._Element, record: _Record, source_file: str, limits: Limits) -> list[Document]:
    """Return the document of a parsed record, and that of its Chinese abstract."""
    citation = root if root.tag == "MedlineCitation" else _child(root, "MedlineCitation", "BookDocument")
    pmid = None if citation is None else _child(citation, "PMID")
    if citation is None or pmid is None or not (identifier := (pmid.text or "").strip()):
        raise MalformedRecordError(f"{_place(record, source_file)}: a record without PMID")
    # A book's title and abstract stand in the document itself.
    article = _child(citation, "Article") if citation.tag == "MedlineCitation" else citation
    if article is None:
        raise MalformedRecordError(f"{_place(record, source_file)}: a citation without Article")
    vernacular = _title(_child(article, "VernacularTitle"))
    title = _title(_child(article, "ArticleTitle")) or _title(article.find("Book/BookTitle")) or vernacular
    others = list(citation.iterchildren("OtherAbstract"))
    abstract = _abstract(_child(article, "Abstract")) or _first(a for a in map(_abstract, _english(others)) if a)
    texts = [(identifier, [Piece(title, "title"), *abstract])]
    # The language tag alone is not enough: "Abstract available from the publisher." is a common content.
    chinese = (a for a in map(_abstract, others) if has_chinese("".join(piece.text for piece in a)))
    if chinese_abstract := _first(chinese):
        chinese_title = vernacular if has_chinese(vernacular) else ""
        texts.append((f"{identifier}:chi", [Piece(chinese_title, "title"), *chinese_abstract]))
    version = pmid.get("Version", "1")
    return [
        compose(
            SOURCE,
            source_id,
            source_file,
            pieces,
            place=f"{source_file}: PMID {identifier} at byte {record.offset:,}",
            limits=limits,
            version=int(version) if version.isdecimal() and len(version) < 10 else 1,
            year=_year(article),
            ids={"pmid": identifier, **_ids(root, article)},
        )
        for source_id, pieces in texts
    ]


def _child(element: etree._Element, *tags: str) -> etree._Element | None:
    return next(element.iterchildren(*tags), None)


def _first(abstracts: Iterable[list[Piece]]) -> list[Piece]:
    return next(iter(abstracts), [])


def _english(abstracts: Iterable[etree._Element]) -> Iterator[etree._Element]:
    """Abstracts in English, or of no language that is told."""
    return (abstract for abstract in abstracts if abstract.get("Language", "eng") == "eng")


def _title(element: etree._Element | None) -> str:
    """Return a title; empty where the element says that there is none."""
    title = text_of(element)
    return "" if _NO_TITLE.fullmatch(title) else title


def _abstract(abstract: etree._Element | None) -> list[Piece]:
    """Return the parts of an abstract, each behind its label."""
    parts = []
    for part in () if abstract is None else abstract.iterchildren("AbstractText"):
        if content := text_of(part):
            label = " ".join(part.get("Label", "").split())
            kind = kind_of(label or part.get("NlmCategory", ""), "abstract")
            parts.append(Piece(f"{label}: {content}" if label else content, kind, label))
    return parts


def _ids(root: etree._Element, article: etree._Element) -> dict[str, str]:
    """DOI and PMCID of the article itself, not of those that it cites."""
    data = _child(root, "PubmedData", "PubmedBookData")
    lists = None if data is None else _child(data, "ArticleIdList")
    given = [
        *((e.get("EIdType"), e.text) for e in article.iterchildren("ELocationID")),
        *((e.get("IdType"), e.text) for e in (() if lists is None else lists.iterchildren("ArticleId"))),
    ]
    return {_SCHEMES[kind]: text.strip() for kind, text in given if kind in _SCHEMES and text and text.strip()}


def _year(article: etree._Element) -> int | None:
    """Year of the issue, else of the electronic publication, else of the book."""
    for path in _DATES:
        date: etree._Element | None = article
        for tag in path:
            date = None if date is None else _child(date, tag)
        for element in () if date is None else date.iterchildren("Year", "MedlineDate"):
            if year := _YEAR.search(element.text or ""):
                return int(year[0])
    return None


def _place(record: _Record, source_file: str) -> str:
    """Return where a record is, for messages."""
    pmid = _pmid(record)
    return f"{source_file}: {f'PMID {pmid[2].decode()}' if pmid else 'a record'} at byte {record.offset:,}"


def _withdrawn(record: _Record, source_file: str) -> Iterator[Document]:
    """Yield what a deletion withdraws: the document, and that of its Chinese abstract, should there be one."""
    identity = _by_pmid(record, source_file)
    for source_id in (identity.source_id, f"{identity.source_id}:chi"):
        yield replace(identity, source_id=source_id, withdrawn=True)


def _pmid(record: _Record) -> re.Match[bytes] | None:
    """Return the PMID of a record that cannot be parsed: the first one, before the article and those that it cites."""
    head = record.data[:_HEAD].partition(b"<Article")[0]
    return _PMID.match(head, max(head.find(b"<PMID"), 0))


def _rejected(record: _Record, error: InputError, source_file: str) -> Document:
    """Return the document that stands for a record that cannot be read."""
    return replace(_by_pmid(record, source_file), error=error)


def _by_pmid(record: _Record, source_file: str) -> Document:
    """Return a document without a text, under the record's PMID where that can be found."""
    pmid = _pmid(record)
    version = pmid and _VERSION.search(pmid[1])
    return Document(
        SOURCE,
        pmid[2].decode() if pmid else f"{source_file}@{record.offset}",
        source_file,
        "",
        version=int(version[1]) if version else 1,
    )


_MARKS = re.compile(rb"<(?:PubmedArticleSet|PubmedBookArticleSet|PubmedArticle|PubmedBookArticle|MedlineCitation)\b")

FORMAT = Format(
    name="pubmed",
    title="PubMed and MEDLINE XML",
    suffixes=(".xml",),
    read=lambda content: read_pubmed(content.chunks, content.url, limits=content.limits),
    recognises=lambda head: _MARKS.search(head) is not None,
    keeps="PMID and version, DOI, PMCID, title, abstract with its labels, Chinese abstract, year, deletions",
    drops="authors, MeSH, citations",
    example='<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID>',
)
