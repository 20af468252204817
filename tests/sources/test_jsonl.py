"""JSON lines as documents."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import Document, Part
from llmner.errors import ConfigError, DocumentTooLargeError, InputError, LlmnerError, MalformedRecordError
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap, field_map
from llmner.sources.json_records import json_records
from llmner.sources.jsonl import read_jsonl
from llmner.sources.limits import Limits

FILE = "/corpus/notes.jsonl"


def read(data: bytes, fields: FieldMap = DEFAULT_FIELDS, size: int = 1 << 16, **limits: int) -> list[Document]:
    chunks: Iterator[bytes] = (data[i : i + size] for i in range(0, len(data), size))
    return list(read_jsonl(chunks, FILE, fields, **limits))


def line(**record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def neighbours(bad: bytes, fields: FieldMap = DEFAULT_FIELDS, **limits: int) -> LlmnerError:
    """Read a line between two good ones, which must not suffer; gives its error."""
    before, document, after = read(line(id=1, text="One") + bad + line(id=3, text="Three"), fields, **limits)
    assert (before.source_id, before.text, after.source_id, after.text) == ("1", "One", "3", "Three")
    assert document.error is not None
    assert (document.source, document.text) == ("jsonl", "")
    assert str(document.error).startswith(f"{FILE}: line 2 at byte ")
    return document.error


def test_the_default_fields() -> None:
    assert read(line(id="a", text="Aspirin.", heading="not ours")) == [
        Document(source="jsonl", source_id="a", source_file=FILE, text="Aspirin.")
    ]
    parts = (Part(0, 7, "title", "", "en"), Part(8, 16, "text", "", "en"))
    assert read(line(id="a", text="Aspirin.", title="A drug.", year=1999, version=2, lang="eng", pmid=7)) == [
        Document("jsonl", "a", FILE, "A drug. Aspirin.", 2, "A drug.", "en", 1999, parts, {"pmid": "7"})
    ]


def test_mapped_fields() -> None:
    fields = FieldMap(id="no", text="abstract", title="heading", lang="language", year="published", version="rev")
    record = {"no": 7, "abstract": "Kept  as\nit is. ", "heading": "On aspirin", "published": "2001", "rev": 2}
    parts = (Part(0, 10, "title", "", "en"), Part(11, 27, "text", "", "en"))
    assert read(line(**record, language="eng"), fields) == [
        Document("jsonl", "7", FILE, "On aspirin Kept  as\nit is. ", 2, "On aspirin", "en", 2001, parts)
    ]
    assert read(line(**{**record, "heading": None}), fields)[0].text == "Kept  as\nit is. "
    assert read(line(**{**record, "abstract": ""}), fields)[0].text == "On aspirin"


@pytest.mark.parametrize(
    ("tag", "text", "lang"),
    [
        (None, "Aspirin", "en"),
        (None, "阿司匹林用于治疗。", "zh"),
        ("zh-CN", "Aspirin", "en"),
        ("English", "阿司匹林", "zh"),
        ("ja", "喘息患者", "ja"),
        ("fr", "Aspirine", "fr"),
        (3, "阿司匹林", "zh"),
    ],
)
def test_the_language(tag: object, text: str, lang: str) -> None:
    assert read(line(id=1, text=text, lang=tag), FieldMap(lang="lang"))[0].lang == lang


@pytest.mark.parametrize("title", [None, 7, ["x"], float("nan"), "\ud800"])
def test_a_title_that_is_none_costs_no_text(title: object) -> None:
    (document,) = read(line(id=1, text="t", title=title))
    assert (document.text, document.title, document.error) == ("t", "", None)


@pytest.mark.parametrize(("value", "id"), [(31.0, "31"), (2**70, str(2**70)), ("031", "031")])
def test_whole_numbers_are_identifiers(value: object, id: str) -> None:
    assert read(line(id=value, text="t"))[0].source_id == id


@pytest.mark.parametrize("encoding", ["gb18030", "latin-1"])
def test_a_file_in_another_encoding_is_told_once(encoding: str) -> None:
    text = "患者疼痛" if encoding == "gb18030" else "Ménière"
    with pytest.raises(InputError, match="not UTF-8, line after line"):
        read("".join(f'{{"id": {i}, "text": "{text}"}}\n' for i in range(9)).encode(encoding))


@pytest.mark.parametrize(("year", "read_as"), [("2001-05-06", 2001), ("2001/05/06 08:00", 2001), (2001.0, 2001)])
def test_the_year_of_a_date(year: object, read_as: int) -> None:
    assert read(line(id=1, text="t", year=year))[0].year == read_as


@pytest.mark.parametrize("year", [None, "soon", 2001.5, True, [], 10**12, "10" * 8])
def test_an_unusable_year_is_no_year(year: object) -> None:
    assert read(line(id=1, text="t", year=year), FieldMap(year="year"))[0].year is None


def test_blank_lines_line_ends_and_a_byte_order_mark() -> None:
    data = b"\xef\xbb\xbf" + b'{"id": 1, "text": "a"}\r\n\n  \n{"id": 2, "text": "b"}'
    assert [(d.source_id, d.text, d.error) for d in read(data)] == [("1", "a", None), ("2", "b", None)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"{not json}\n", "not JSON"),
        (b'{"id": 2, "text": "cut\n', "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"id": ' + b"9" * 10_000 + b', "text": "t"}\n', "not JSON"),
        (b'["id", "text"]\n', "a JSON list, not an object"),
        (b"17\n", "a JSON int, not an object"),
        (b'{"id": 2, "text": "\xff"}\n', "not UTF-8: invalid start byte at byte 19 of the line"),
        (b'{"id": 2, "text": "a\\ud800b"}\n', "half a surrogate pair at character 1"),
        (b'{"id": "\\udc00", "text": "t"}\n', "half a surrogate pair"),
        (b'{"id": 2, "body": "t"}\n', "field 'text' is missing .it has: body, id"),
        (b'{"id": 2, "text": null}\n', "field 'text' is null"),
        (b'{"id": 2, "text": ["t"]}\n', "field 'text' must be a text, got list"),
        (b'{"text": "t"}\n', "field 'id' is missing"),
        (b'{"id": "", "text": "t"}\n', "field 'id' must be a text or a whole number"),
        (b'{"id": true, "text": "t"}\n', "field 'id' must be a text or a whole number"),
        (b'{"id": 2.5, "text": "t"}\n', "field 'id' must be a text or a whole number"),
    ],
)
def test_a_bad_line_is_rejected_alone(bad: bytes, message: str) -> None:
    error = neighbours(bad)
    assert isinstance(error, MalformedRecordError)
    assert message.replace(".it", "(it") in str(error)


def test_a_rejected_line_has_its_own_identifier_where_it_can_be_read() -> None:
    documents = read(b'{"id": "x", "text": 1}\n{"text": 1}\n[]\n')
    assert [d.source_id for d in documents] == ["x", f"{FILE}:2", f"{FILE}:3"]


@pytest.mark.parametrize("size", [10, 100, 1 << 16])
def test_long_lines_and_long_texts(size: int) -> None:
    long = line(id=2, text="x" * 1000)
    assert isinstance(neighbours(long, limits=Limits(record_bytes=500)), DocumentTooLargeError)
    assert isinstance(neighbours(long, limits=Limits(characters=999)), DocumentTooLargeError)
    assert [d.error for d in read(long, limits=Limits(record_bytes=len(long), characters=1000), size=size)] == [None]
    (last,) = read(long.rstrip(), limits=Limits(record_bytes=500), size=size)
    assert "line 1 at byte 0: it has more than 500 bytes" in str(last.error)


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(texts.filter(bool), texts, texts)), st.integers(1, 40), st.booleans())
def test_any_text_comes_out_as_it_went_in(records: list[tuple[str, str, str]], size: int, ascii_: bool) -> None:
    rows = [{"id": i, "text": text, "title": title} for i, text, title in records]
    data = "\n".join(json.dumps(r, ensure_ascii=ascii_) for r in rows).encode()
    documents = read(data, FieldMap(title="title"), size)
    assert [(d.source_id, d.title, d.text) for d in documents] == [
        (i, title, f"{title} {text}" if title and text else title or text) for i, text, title in records
    ]


def test_unknown_fields_are_refused() -> None:
    assert field_map({"text": "body", "id": "pmid"}) == FieldMap(id="pmid", text="body")
    with pytest.raises(ConfigError, match=r"fields: unknown: abstract, body .*id, text, title"):
        field_map({"abstract": "a", "body": "b"})


def as_list(*records: str) -> bytes:
    return f"[{', '.join(records)}]".encode()


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_read_as_a_list(size: int, indent: int | None) -> None:
    values = [{"id": 1, "text": 'One {"[]}'}, {"id": "2", "text": "Two \\"}, {"id": 3, "text": "Three", "x": [{}]}]
    content = ("\ufeff " + json.dumps(values, indent=indent) + "\n").encode()
    chunks = [content[i : i + size] for i in range(0, len(content), size)]
    documents = list(read_jsonl(chunks, "f", DEFAULT_FIELDS))
    assert [(d.source_id, d.text) for d in documents] == [("1", 'One {"[]}'), ("2", "Two \\"), ("3", "Three")]


def test_an_element_that_cannot_be_read_is_rejected_alone() -> None:
    content = as_list('{"id": 1, "text": "One"}', "{bad}", "17", '"x"', '{"id": 2, "text": "Two"}')
    good, *bad, last = read_jsonl([content], "/c/notes.json", DEFAULT_FIELDS)
    assert [good.text, last.text] == ["One", "Two"]
    assert [str(d.error)[:40] for d in bad[:1]] == ["/c/notes.json: record 2 at byte 27: not "]
    assert [type(d.error) for d in bad] == [MalformedRecordError] * 2


@given(
    st.lists(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4), max_size=4),
    st.integers(1, 40),
)
def test_no_value_of_a_list_is_lost(values: list, size: int) -> None:
    content = json.dumps([{"text": v} for v in values]).encode()
    records = json_records([content[i : i + size] for i in range(0, len(content), size)], "f")
    assert [json.loads(r.data)["text"] for r in records] == values
