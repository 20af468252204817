"""Parquet rows as documents."""

import io
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmner.documents import Document, Part
from llmner.errors import InputError, MalformedRecordError
from llmner.sources import read_file
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.files import find_files
from llmner.sources.limits import Limits
from llmner.sources.parquet import read_parquet

FILE = "/corpus/part-0.parquet"


def parquet(table: pa.Table, **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    stream.seek(0)
    return stream


def read(table: pa.Table, fields: FieldMap = DEFAULT_FIELDS, **limits: int) -> list[Document]:
    return list(read_parquet(parquet(table), FILE, fields, **limits))


def test_rows_are_documents() -> None:
    table = pa.table(
        {
            "pmid": pa.array([1, 2, 3], pa.int64()),
            "abstract": pa.array(["On aspirin.", "阿司匹林", ""], pa.large_string()),
            "title": pa.array(["Title", None, ""]).dictionary_encode(),
            "year": pa.array([2020, None, 1999], pa.int16()),
            "unmapped": [b"\xff", b"", b""],
        }
    )
    assert read(table, FieldMap(id="pmid", text="abstract", title="title", year="year")) == [
        Document(
            "parquet",
            "1",
            FILE,
            "Title On aspirin.",
            title="Title",
            year=2020,
            parts=(Part(0, 5, "title", "", "en"), Part(6, 17, "text", "", "en")),
            ids={"pmid": "1"},
        ),
        Document("parquet", "2", FILE, "阿司匹林", lang="zh", ids={"pmid": "2"}),
        Document("parquet", "3", FILE, "", year=1999, ids={"pmid": "3"}),
    ]


def test_many_rows_in_many_groups_stay_in_order() -> None:
    table = pa.table({"id": [str(i) for i in range(1000)], "text": [f"text {i}" for i in range(1000)]})
    stream = parquet(table, row_group_size=77)
    documents = list(read_parquet(stream, FILE, FieldMap()))
    assert [d.text for d in documents] == table["text"].to_pylist()


def test_a_missing_column_names_those_that_exist() -> None:
    table = pa.table({"id": ["1"], "body": ["t"]})
    with pytest.raises(InputError, match=r"part-0\.parquet: no column 'text', 'heading' \(its columns: id, body; "):
        read(table, FieldMap(title="heading"))


def test_a_bad_row_is_rejected_alone() -> None:
    binary = pa.array([b"one", b"\xff\xfe", b"three", None, b"five"], pa.binary())
    table = pa.table(
        {"id": ["1", "2", "3", "4", None], "text": pa.Array.from_buffers(pa.string(), 5, binary.buffers())}
    )
    documents = read(table)
    assert [(d.source_id, d.text) for d in documents if not d.error] == [("1", "one"), ("3", "three")]
    assert [(d.source_id, type(d.error)) for d in documents if d.error] == [
        (f"{FILE}:2", MalformedRecordError),
        ("4", MalformedRecordError),
        (f"{FILE}:5", MalformedRecordError),
    ]
    messages = [str(d.error) for d in documents if d.error]
    assert "row 2: not UTF-8" in messages[0]
    assert "row 4: field 'text' is null" in messages[1]
    assert "row 5: field 'id' is null" in messages[2]


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        (pa.array([31, 32], pa.float64()), ["31", "32"]),
        (pa.array([Decimal(31), Decimal(32)], pa.decimal128(38, 0)), ["31", "32"]),
        (pa.array([b"a", b"b"], pa.binary()), ["a", "b"]),
        (pa.array([2**63 + 1, 2], pa.uint64()), [str(2**63 + 1), "2"]),
    ],
)
def test_values_count_by_their_meaning(ids: pa.Array, found: list[str]) -> None:
    years = pa.array([datetime(2020, 1, 2), datetime(2021, 1, 2)])
    documents = read(pa.table({"ID": ids, "Text": pa.array([b"One", b"Two"]), "year": years}))
    assert [(d.source_id, d.text, d.year, d.error) for d in documents] == [
        (found[0], "One", 2020, None),
        (found[1], "Two", 2021, None),
    ]


def test_bytes_that_are_no_text_are_rejected_alone() -> None:
    bad, good = read(pa.table({"id": ["1", "2"], "text": [b"\xff", b"Two"]}))
    assert "field 'text' must be a text, got bytes that are not UTF-8" in str(bad.error)
    assert good.text == "Two"


@pytest.mark.parametrize("texts", [[["t"]], [{"abstract": "t"}]])
def test_a_column_of_nested_values_is_told_once(texts: list) -> None:
    with pytest.raises(InputError, match=r"part-0\.parquet: column 'text' is of type (list|struct)<"):
        read(pa.table({"id": ["1"], "text": texts}))


def test_folders_are_columns(tmp_path: Path) -> None:
    path = tmp_path / "year=2019" / "lang=fr" / "part.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(parquet(pa.table({"id": ["1"], "text": ["La goutte."]})).getvalue())
    (file,) = find_files([str(tmp_path)])
    (document,) = read_file(file)
    assert (document.year, document.lang) == (2019, "fr")


def test_the_limit_of_the_text() -> None:
    documents = read(pa.table({"id": ["1", "2"], "text": ["short", "too long"]}), limits=Limits(characters=5))
    assert [d.error is None for d in documents] == [True, False]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all, but long enough to be something"])
def test_what_is_no_parquet(content: bytes) -> None:
    with pytest.raises(InputError, match=r"part-0\.parquet: cannot be read as Parquet"):
        list(read_parquet(io.BytesIO(content), FILE, FieldMap()))


def test_damaged_data_end_the_file_after_what_could_be_read() -> None:
    table = pa.table({"id": [str(i) for i in range(1000)], "text": [random.randbytes(200).hex() for _ in range(1000)]})
    stream = parquet(table, row_group_size=100, compression="zstd", use_dictionary=False)
    damaged = bytearray(stream.getvalue())
    middle = len(damaged) // 2
    damaged[middle : middle + 2000] = b"\xaa" * 2000
    documents: list[Document] = []
    with pytest.raises(InputError, match="cannot be read as Parquet after"):
        documents.extend(read_parquet(io.BytesIO(damaged), FILE, FieldMap()))
    assert 100 <= len(documents) < 1000
    assert [d.source_id for d in documents] == [str(i) for i in range(len(documents))]


def test_columns_of_one_name_reject_the_file_and_nothing_raises(tmp_path: Path) -> None:
    columns = [pa.array(["1"]), pa.array(["Aspirin"]), pa.array(["Fever"])]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays(columns, names=["id", "text", "text"]), file)
    [listed] = find_files([str(file)])
    [document] = read_file(listed)
    assert document.error is not None
    assert "a.parquet" in str(document.error)


def test_a_damaged_name_of_a_column_is_told() -> None:
    data = parquet(pa.table({"id": ["1"], "text": ["Gout."]}), store_schema=False).getvalue()
    with pytest.raises(InputError, match="the name of a column is not UTF-8"):
        list(read_parquet(io.BytesIO(data.replace(b"text", b"te\xaat")), FILE, DEFAULT_FIELDS))
