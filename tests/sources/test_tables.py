"""CSV and TSV: cells as they are, in every encoding; what is broken is told."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import Document
from llmner.errors import InputError
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.format import Content
from llmner.sources.tables import read_table


def read(data: bytes, fields: FieldMap = DEFAULT_FIELDS, size: int = 5) -> list[Document]:
    return list(read_table(Content("f.csv", (data[i : i + size] for i in range(0, len(data), size)), fields)))


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_cells_with_line_ends_and_quotes(delimiter: str, encoding: str) -> None:
    rows = [["ID", "title", "text", "year", "doi"], ["1", "痛风", 'He said "ow",\nand left; so.', "2019", "10.1/x"]]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    (document,) = read(written.getvalue().encode(encoding))
    assert (document.source, document.source_id, document.year) == ("table", "1", 2019)
    assert document.text == '痛风 He said "ow",\nand left; so.'
    assert document.ids == {"doi": "10.1/x"}


def test_mapped_columns() -> None:
    (document,) = read(b"no,body\n7,Gout.\n", FieldMap(id="no", text="body"))
    assert (document.source_id, document.text) == ("7", "Gout.")


def test_a_table_of_cnki_needs_no_field_map() -> None:
    names = "SrcDatabase-来源库,Title-题名,Summary-摘要,Year-年,DOI-DOI"
    data = f"{names}\n期刊,痛风,患者疼痛。,2019,10.1/x\n期刊,会讯,,2020,\n"
    one, two = read(data.encode("gb18030"))
    assert (one.source_id, one.title, one.text, one.year) == ("10.1/x", "痛风", "痛风 患者疼痛。", 2019)
    assert (two.text, two.error, len(two.source_id)) == ("会讯", None, 16)


def test_a_broken_row_costs_none_other() -> None:
    one, long, empty, two = read(b"id,text\n1,One\n2,Two,too\n3,\n\n4,Four\n")
    assert (one.text, two.text) == ("One", "Four")
    assert "f.csv: row 2 at byte 14: 3 cells, but 2 columns" in str(long.error)
    assert "field 'text' is missing" in str(empty.error)


def test_no_table() -> None:
    with pytest.raises(InputError, match=r"f\.csv: no column names"):
        read(b"\n")
    with pytest.raises(InputError, match=r"f\.csv: its first line cannot be read"):
        read(b"id\rx,text\n1,Gout.\n")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=9), max_size=5))
def test_round_trip(texts: list[str]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows([["id", "text"], *([i, t] for i, t in enumerate(texts))])
    documents = read(written.getvalue().encode())
    assert [d.text for d in documents] == texts
