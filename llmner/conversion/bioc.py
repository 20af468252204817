"""BioC, as XML and as JSON.

Key idea: an XML file is cut into documents at their tags, and each is parsed alone. So a broken one harms none other,
and what a DOCTYPE declares is never seen. What XML holds is put in the form of BioC's JSON and read as that.

Invariant: offsets count from the passage or sentence that holds the text, wherever the file says that begins.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from llmner.conversion import AnnotatedDocument, DocumentDraft, Span
from llmner.errors import InputError, MalformedRecordError

_BEGIN = re.compile(r"<document[\s>]")
_END = re.compile(r"</document\s*>")

_PARSER = etree.XMLParser(
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)


def read_bioc(text: str, file: str) -> Iterator[AnnotatedDocument | InputError]:
    """Read the documents of a BioC file.

    Args:
        text: The file's content, XML or JSON.
        file: Its name, for messages.

    Yields:
        Documents in order; an error for one that cannot be read.

    Raises:
        InputError: This is no BioC.
    """
    raw_documents = _from_json(text, file) if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else _from_xml(text, file)
    for number, raw in enumerate(raw_documents, 1):
        if isinstance(raw, InputError):
            yield raw
            continue
        try:
            yield _document(raw, file)
        except InputError as e:
            yield e
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            yield MalformedRecordError(f"{file}: document number {number}: not as BioC has it: {e!r}")


def _from_json(text: str, file: str) -> Iterator[Any]:
    try:
        raw = json.loads(text.removeprefix("\ufeff"))
        collections = raw if isinstance(raw, list) else [raw]
        documents = [d for collection in collections for d in collection["documents"]]
    except (ValueError, RecursionError) as e:
        raise InputError(f"{file}: not JSON: {e}") from e
    except (KeyError, TypeError) as e:
        raise InputError(f"{file}: not BioC: {e!r}", hint="BioC's JSON is a collection with `documents`") from e
    yield from documents


def _from_xml(text: str, file: str) -> Iterator[dict[str, Any] | InputError]:
    begins = [m.start() for m in _BEGIN.finditer(text)]
    if not begins:
        raise InputError(f"{file}: there is no BioC document in it", hint="BioC is XML or JSON")
    for number, (begin, limit) in enumerate(zip(begins, [*begins[1:], len(text)], strict=True), 1):
        end = _END.search(text, begin, limit)
        try:
            yield _as_json(etree.fromstring(text[begin : end.end() if end else limit], _PARSER))
        except etree.XMLSyntaxError as e:
            yield MalformedRecordError(f"{file}: document number {number}: {e.msg}")


def _as_json(element: etree._Element) -> dict[str, Any]:
    """A document, passage, sentence or annotation as BioC's JSON has it."""
    result: dict[str, Any] = {
        "infons": {infon.get("key"): infon.text or "" for infon in element.iterchildren("infon")},
        "text": element.findtext("text"),
        "locations": [dict(location.attrib) for location in element.iterchildren("location")],
    }
    for key in ("id", "offset"):
        if (value := element.findtext(key, element.get(key))) is not None:
            result[key] = value
    for tag in ("passage", "sentence", "annotation"):
        result[f"{tag}s"] = [_as_json(child) for child in element.iterchildren(tag)]
    return result


def _document(raw: dict[str, Any], file: str) -> AnnotatedDocument:
    # A document's text is in its passages, or in their sentences.
    pieces = [piece for passage in raw["passages"] for piece in passage.get("sentences") or [passage]]
    texts = [piece.get("text") or "" for piece in pieces]
    draft = DocumentDraft(file, str(raw["id"]), "\n".join(texts))
    places: list[tuple[int, int, int]] = []  # of each piece: its offset, its length, where it begins in our text
    ours = 0
    for piece, text in zip(pieces, texts, strict=True):
        places.append((int(piece["offset"]), len(text), ours))
        for annotation in piece.get("annotations") or []:
            _add(draft, annotation, places[-1:])
        ours += len(text) + 1
    # Mentions may also stand beside the pieces.
    for holder in (raw, *(passage for passage in raw["passages"] if passage.get("sentences"))):
        for annotation in holder.get("annotations") or []:
            _add(draft, annotation, places)
    return draft.finished()


def _add(draft: DocumentDraft, annotation: dict[str, Any], places: list[tuple[int, int, int]]) -> None:
    """Add a mention that lies in one of the pieces at these places."""
    try:
        fragments = [_span(place, places) for place in annotation["locations"]]
        type, given = str(annotation["infons"]["type"]), str(annotation.get("text") or "")
    except (KeyError, TypeError, ValueError) as e:
        draft.problem(f"mention {_identifier(annotation)}: not as BioC has it: {e!r}")
    else:
        draft.add(fragments, type, given)


def _identifier(annotation: Any) -> str:
    return str(annotation.get("id")) if isinstance(annotation, dict) else repr(annotation)[:60]


def _span(location: dict[str, Any], places: list[tuple[int, int, int]]) -> Span:
    """Where a location is in our text."""
    offset, length = int(location["offset"]), int(location["length"])
    for begin, size, ours in places:
        if begin <= offset and offset + length <= begin + size:
            return ours + offset - begin, ours + offset - begin + length
    raise ValueError(f"[{offset}, {offset + length}) is in no text")
