"""BioC: XML and JSON say the same; what is broken or hostile is told and costs nothing else."""

import json
from typing import Any
from xml.sax.saxutils import escape

import pytest
from annotated_texts import annotated, found, pieces, problems
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.mentions import Mention
from llmner.sources.bioc import read_bioc


def annotation(text: str, *places: tuple[int, int], type: str = "Disease") -> dict[str, Any]:
    locations = [{"offset": offset, "length": length} for offset, length in places]
    return {"id": "T", "infons": {"type": type}, "text": text, "locations": locations}


TITLE = {"offset": 100, "text": "Gout & <rest>", "annotations": [annotation("Gout", (100, 4))]}
SENTENCES = {
    "offset": 114,
    "sentences": [
        {"offset": 114, "text": "Gout hurts.", "annotations": [annotation("Gout", (114, 4))]},
        {"offset": 126, "text": "痛风 hurts."},
    ],
    "annotations": [annotation("痛风", (126, 2))],
}
DOCUMENT = {"id": "5", "passages": [TITLE, SENTENCES], "annotations": [annotation("rest", (108, 4))]}
READ = (
    "5",
    "Gout & <rest>\nGout hurts.\n痛风 hurts.",
    (Mention(0, 4, "Disease"), Mention(8, 12, "Disease"), Mention(14, 18, "Disease"), Mention(26, 28, "Disease")),
)


def read(text: str) -> list[Document]:
    return list(read_bioc(pieces(text), "f.x"))


def as_json(*documents: Any) -> str:
    return json.dumps({"source": "x", "documents": documents}, ensure_ascii=False)


def as_xml(*documents: dict[str, Any]) -> str:
    head = "<?xml version='1.0' encoding='UTF-8'?><!DOCTYPE collection SYSTEM 'BioC.dtd'>\n"
    body = "".join(element("document", d) for d in documents)
    return f"{head}<collection><source>x</source>{body}</collection>"


def element(tag: str, raw: dict[str, Any]) -> str:
    identifier = f"<id>{raw['id']}</id>" if tag == "document" else ""
    infons = "".join(f'<infon key="{k}">{escape(v)}</infon>' for k, v in raw.get("infons", {}).items())
    offset = f"<offset>{raw['offset']}</offset>" if "offset" in raw else ""
    text = f"<text>{escape(raw['text'])}</text>" if "text" in raw else ""
    places = "".join(f'<location offset="{p["offset"]}" length="{p["length"]}"/>' for p in raw.get("locations", []))
    children = "".join(
        element(child, inner) for child in ("sentence", "annotation", "passage") for inner in raw.get(f"{child}s", [])
    )
    return f"<{tag}>{identifier}{infons}{offset}{places}{text}{children}</{tag}>"


@pytest.mark.parametrize("written", [as_json, as_xml])
def test_passages_sentences_and_mentions_beside_them(written: Any) -> None:
    assert [found(d) for d in read(written(DOCUMENT))] == [READ]
    two = read(f"\ufeff{written(DOCUMENT, {'id': '6', 'passages': []})}")
    assert [found(d) for d in two] == [READ, ("6", "", ())]


@pytest.mark.parametrize("written", [as_json, as_xml])
def test_mentions_of_several_spans_are_counted_and_wrong_ones_told(written: Any) -> None:
    passage = {
        "offset": 0,
        "text": "hand and foot pain",
        "annotations": [
            annotation("hand pain", (0, 4), (14, 4)),
            annotation("foot pain", (9, 4), (14, 4)),
            annotation("foot", (10, 4)),
            annotation("pain", (90, 4)),
            annotation("pain"),
            {"id": "T9", "text": "pain", "locations": [{"offset": 14, "length": 4}]},
        ],
    }
    [document] = read(written({"id": "5", "passages": [passage]}))
    assert document.annotations.mentions == (Mention(9, 18, "Disease"),)
    assert document.annotations.discontinuous == 1
    told = problems(document)
    assert told[0] == "f.x: document 5: Disease 'foot' at [10, 14): the text there is 'oot '"
    assert "[90, 94) is in no text" in told[1]
    assert "no place in the text" in told[2]
    assert "not as BioC has it: KeyError('" in told[3]


def test_a_broken_document_costs_none_other() -> None:
    broken = "<document><id>9</id><passage></document>"
    unfinished = "<document><id>9</id>"
    text = as_xml(DOCUMENT).replace("<document>", f"{broken}{unfinished}<document>")
    first, second, third = read(text)
    assert isinstance(first.error, MalformedRecordError)
    assert f"f.x: record 1 at byte {text.index(broken)}: " in str(first.error)
    assert "record 2" in str(second.error)
    assert found(third) == READ
    no_id, no_document, last = read(as_json({"passages": []}, 7, DOCUMENT))
    assert isinstance(no_id.error, MalformedRecordError)
    assert "record 2 at byte " in str(no_document.error)
    assert found(last) == READ


def test_half_a_character_is_told() -> None:
    [document] = read('{"documents": [{"id": "1", "passages": [{"offset": 0, "text": "\\ud800"}]}]}')
    assert "half a surrogate pair" in str(document.error)


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY f SYSTEM "file:///etc/hostname">]>'
    passage = "<passage><offset>0</offset><text>{}</text></passage>"
    document = "<document><id>1</id>{}</document>"
    for entity in ("&b;", "&f;"):
        [broken] = read(f"{bomb}<collection>{document.format(passage.format(entity))}</collection>")
        assert isinstance(broken.error, MalformedRecordError)


@pytest.mark.parametrize("text", ["<html/>", "{", "[" * 100_000])
def test_what_is_no_bioc_or_not_whole_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"f\.x"):
        read(text)


@pytest.mark.parametrize("text", ["[1]", "{}", '{"id": "1"}', "<collection><document><id>1</id>"])
def test_what_is_no_document_is_told(text: str) -> None:
    [document] = read(text)
    assert isinstance(document.error, InputError)


@given(st.lists(annotated(), min_size=1, max_size=3), st.integers(0, 1000))
def test_round_trip(texts: list, offset: int) -> None:
    passages, expected, begin = [], [], 0
    for text, mentions in texts:
        annotations = [
            annotation(text[m.start : m.end], (offset + m.start, m.end - m.start), type=m.type) for m in mentions
        ]
        passages.append({"offset": offset, "text": text, "annotations": annotations})
        expected += [Mention(begin + m.start, begin + m.end, m.type) for m in mentions]
        offset += len(text) + 3
        begin += len(text) + 1
    right = ("1", "\n".join(text for text, _ in texts), tuple(sorted(expected)))
    for written in (as_json, as_xml):
        assert [found(d) for d in read(written({"id": "1", "passages": passages}))] == [right]
