"""Reading exported texts with their mentions, as PubTator and BioC: each mention must be where it says."""

from collections.abc import Iterable, Iterator
from typing import cast

from lxml import etree

from llmner import storage
from llmner.graph.row import Row

_PUBTATOR = "documents.pubtator"
_BIOC = "documents.xml"


def pubtator_rows(lines: Iterable[tuple[int, str]]) -> Iterator[Row]:
    """Yield a row for each line that holds a title or a mention."""
    id, text = "", ""
    for number, line in lines:
        if "\t" not in line:
            match line.split("|", 2):
                case [begun, "t", title]:
                    id, text = begun, title
                    yield Row(_PUBTATOR, number, keys=(("documents", id),))
                case [same, "a", abstract] if same == id:
                    text = f"{text} {abstract}"
                case [""]:
                    pass
                case _:
                    yield Row(_PUBTATOR, number, (f"neither title, abstract nor mention: {line[:60]!r}",))
            continue
        match line.split("\t"):
            case [of, start, end, string, type, concepts] if (
                of == id and type and start.isdecimal() and end.isdecimal()
            ):
                there = text[int(start) : int(end)]
                wrong = () if there == string else (f"{string[:60]!r} is not at {start}, there is {there[:60]!r}",)
                yield Row(_PUBTATOR, number, wrong, tuple(c for c in concepts.split(";") if c != "-"))
            case _:
                yield Row(_PUBTATOR, number, (f"no mention of document {id}: {line[:60]!r}",))


def bioc_rows(uri: str) -> Iterator[Row]:
    """Yield a row for each document and each of its annotations."""
    fs, path = storage.file_system(uri)
    with storage.access(uri), fs.open(path, "rb") as stream:
        try:
            parsed = etree.iterparse(stream, tag="document", resolve_entities=False, load_dtd=False, no_network=True)
            for _, document in parsed:
                yield Row(_BIOC, document.sourceline or 0, keys=(("documents", document.findtext("id") or ""),))
                for passage in document.iterchildren("passage"):
                    for annotation in passage.iterchildren("annotation"):
                        yield _annotation(passage, annotation)
                document.clear()
                while document.getprevious() is not None:
                    del document.getparent()[0]
        except etree.XMLSyntaxError as e:
            yield Row(_BIOC, e.lineno or 0, (f"not XML: {e.msg}",))


def _annotation(passage: etree._Element, annotation: etree._Element) -> Row:
    text, offset = passage.findtext("text") or "", int(passage.findtext("offset") or 0)
    infons = {infon.get("key"): infon.text or "" for infon in annotation.iterchildren("infon")}
    string, location = annotation.findtext("text") or "", annotation.find("location")
    line = cast("int | None", annotation.sourceline) or 0  # the stubs leave its type open
    if location is None or "type" not in infons:
        return Row(_BIOC, line, (f"annotation {annotation.get('id')} has no location or no type",))
    start = int(location.get("offset", -1)) - offset
    there = text[start : start + int(location.get("length", 0))] if start >= 0 else ""
    wrong = () if there == string and string else (f"{string[:60]!r} is not where it says, there is {there[:60]!r}",)
    return Row(_BIOC, line, wrong, tuple(filter(None, infons.get("identifier", "").split(";"))))
