"""BioC, as XML and as JSON.

What XML holds is put in the form of BioC's JSON and read as that.

Invariant: offsets count from the passage or sentence that holds the text, wherever the file says that begins.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lxml import etree

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.mentions import Span
from llmner.sources.annotated import Draft, rejected
from llmner.sources.format import Format, peek
from llmner.sources.json_records import json_records, parse_json
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.records import Record
from llmner.sources.sections import kind_of
from llmner.sources.texts import Piece, compose
from llmner.sources.xml_records import parse_xml, xml_records

SOURCE = "bioc"

_KINDS = {"title": "title", "front": "title", "abstract": "abstract", "fig": "caption", "fig_caption": "caption"}
_KINDS |= {"table": "table", "table_caption": "caption", "ref": "reference", "footnote": "footnote"}
_IDS = {"article-id_pmid": "pmid", "article-id_pmc": "pmcid", "article-id_doi": "doi", "pmid": "pmid", "doi": "doi"}
_NESTED = {"passage": "passages", "sentence": "sentences", "annotation": "annotations"}
_TEXTS = {"text", "id", "offset"}
_ATTRIBUTES = {"id", "offset"}  # where they are no elements
_Place = tuple[int, int, int]  # of a piece: its offset in the file, its length, where it begins in our text

_LISTS = ("documents", "PubTator3")  # keys under which a JSON file holds its documents


def read_bioc(chunks: Iterable[bytes], source_file: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Read the documents of a BioC file, with their annotations.

    Args:
        chunks: The uncompressed file, XML or JSON, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        limits: See ``Limits``.

    Yields:
        Documents in order. One that cannot be read is a document with an error.

    Raises:
        InputError: This is no BioC.
        TruncatedFileError: The file ends before its end. All complete documents were read.
    """
    head, chunks = peek(chunks)
    is_json = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")
    parse: Callable[[Record, str, Limits], Any] = parse_json if is_json else _parse_xml
    records = (
        json_records(chunks, source_file, lists=_LISTS, limits=limits)
        if is_json
        else xml_records(chunks, "document", source_file, limits=limits)
    )
    for record in records:
        place = record.place(source_file)
        try:
            yield _document(parse(record, source_file, limits), source_file, place, limits)
        except InputError as e:
            yield rejected(SOURCE, source_file, record.number, e)
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            error = MalformedRecordError(f"{place}: not as BioC has it: {e!r}")
            yield rejected(SOURCE, source_file, record.number, error)


def _parse_xml(record: Record, url: str, limits: Limits) -> dict[str, Any]:
    if record.error:
        raise record.error
    return _as_json(parse_xml(record.data, record.place(url), limits))


def _as_json(element: etree._Element) -> dict[str, Any]:
    """Return a document, passage, sentence or annotation as BioC's JSON has it."""
    infons: dict[str, str] = {}
    locations: list[dict[Any, Any]] = []
    lists: dict[str, list[dict[str, Any]]] = {"passages": [], "sentences": [], "annotations": []}
    texts: dict[str, str] = {}
    for child in element:
        tag = child.tag
        if tag == "infon":
            infons[child.get("key", "")] = child.text or ""
        elif tag == "location":
            locations.append(dict(child.items()))
        elif tag in _NESTED:
            lists[_NESTED[tag]].append(_as_json(child))
        elif tag in _TEXTS:
            texts.setdefault(tag, child.text or "")
    given = {name: value for name, value in element.items() if name in _ATTRIBUTES}
    return {"infons": infons, "locations": locations, **lists, **given, **texts}


def _document(raw: dict[str, Any], file: str, place: str, limits: Limits) -> Document:
    # A document's text is in its passages, or in their sentences.
    pieces: list[Piece] = []
    places: list[_Place] = []
    annotations: list[tuple[Any, list[_Place]]] = []  # each with the places where it may be
    for passage in raw["passages"]:
        kind, section = _kind(passage.get("infons") or {})
        for piece in passage.get("sentences") or [passage]:
            if not (text := piece.get("text") or ""):
                continue
            ours = places[-1][2] + places[-1][1] + 1 if places else 0
            pieces.append(Piece(text, kind, section))
            places.append((int(piece["offset"]), len(text), ours))
            annotations += [(annotation, places[-1:]) for annotation in piece.get("annotations") or []]
    # Mentions may also stand beside the pieces.
    for holder in (raw, *(passage for passage in raw["passages"] if passage.get("sentences"))):
        annotations += [(annotation, places) for annotation in holder.get("annotations") or []]
    draft = Draft(
        compose(SOURCE, str(raw["id"]), file, pieces, separator="\n", place=place, limits=limits, ids=_ids(raw))
    )
    for annotation, where in annotations:
        _add(draft, annotation, where)
    return draft.finished()


def _kind(infons: dict[str, Any]) -> tuple[str, str]:
    """Return the kind and the section of a passage."""
    type, section = (str(infons.get(key) or "") for key in ("type", "section_type"))
    kind = _KINDS.get(type.lower()) or _KINDS.get(section.lower()) or kind_of(section or type, "text")
    return kind, str(infons.get("section") or section.lower())


def _ids(raw: dict[str, Any]) -> dict[str, str]:
    """Identifiers of the work elsewhere, as PubTator 3 and PMC's BioC give them."""
    first = (raw["passages"][0].get("infons") or {}) if raw["passages"] else {}
    infons = {**(raw.get("infons") or {}), **first}
    found = {scheme: str(infons[key]) for key, scheme in _IDS.items() if infons.get(key)}
    if "pmcid" in found and found["pmcid"].isdecimal():
        found["pmcid"] = f"PMC{found['pmcid']}"
    return found


def _add(draft: Draft, annotation: dict[str, Any], places: list[_Place]) -> None:
    """Add a mention that lies in one of the pieces at these places."""
    try:
        fragments = [_span(place, places) for place in annotation["locations"]]
        type, given = str(annotation["infons"]["type"]), str(annotation.get("text") or "")
    except (KeyError, TypeError, ValueError) as e:
        draft.report(f"mention {_identifier(annotation)}: not as BioC has it: {e!r}")
    else:
        draft.add(fragments, type, given)


def _identifier(annotation: Any) -> str:
    return str(annotation.get("id")) if isinstance(annotation, dict) else repr(annotation)[:60]


def _span(location: dict[str, Any], places: list[_Place]) -> Span:
    """Return where a location is in our text."""
    offset, length = int(location["offset"]), int(location["length"])
    for begin, size, ours in places:
        if begin <= offset and offset + length <= begin + size:
            return ours + offset - begin, ours + offset - begin + length
    raise ValueError(f"[{offset}, {offset + length}) is in no text")


_MARKS = re.compile(rb'<collection>|BioC\.dtd|"passages"')

FORMAT = Format(
    name=SOURCE,
    title="BioC XML and JSON, PubTator 3",
    suffixes=(".xml", ".json"),
    read=lambda content: read_bioc(content.chunks, content.url, limits=content.limits),
    recognises=lambda head: _MARKS.search(head) is not None,
    keeps="identifier, text of passages and sentences; for convert the annotations",
    drops="infons, relations",
    example="<collection><document><id>5</id><passage><offset>0</offset><text>Gout hurts.</text>",
    corpus=True,
)
