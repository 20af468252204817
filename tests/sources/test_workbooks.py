"""Excel's .xls and pages with a table, as databases export them under that name."""

import io
from datetime import datetime

import pytest
import xlwt

from llmner.documents import Document
from llmner.errors import InputError
from llmner.sources.format import Content
from llmner.sources.registry import recognised
from llmner.sources.workbooks import read_workbook

CNKI = ["SrcDatabase-来源库", "Title-题名", "Summary-摘要", "Year-年", "DOI-DOI"]


def workbook(*rows: list[object]) -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("1")
    date = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            sheet.write(i, j, cell, date if isinstance(cell, datetime) else xlwt.Style.default_style)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def read(data: bytes) -> list[Document]:
    found = recognised(data[:16384], "export.xls")
    assert found is not None
    return list(found.read(Content("f.xls", (data[i : i + 999] for i in range(0, len(data), 999)))))


def test_a_workbook_with_numbers_and_dates() -> None:
    one, two = read(workbook(["id", "text", "year"], [31, "Gout.", datetime(2019, 5, 1)], ["b", "痛风。", 2020], []))
    assert (one.source, one.source_id, one.text, one.year) == ("xls", "31", "Gout.", 2019)
    assert (two.source_id, two.text, two.lang, two.year) == ("b", "痛风。", "zh", 2020)


def test_a_workbook_of_cnki_needs_no_field_map() -> None:
    one, two = read(workbook(CNKI, ["期刊", "痛风", "患者疼痛。", "2019", "10.1/x"], ["期刊", "会讯", "", "2020", ""]))
    assert (one.source_id, one.title, one.text, one.year) == ("10.1/x", "痛风", "痛风 患者疼痛。", 2019)
    assert (two.text, two.error) == ("会讯", None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("before", ["", "<html><head><meta charset='gb2312'></head><body>\n", "<!DOCTYPE html>\n"])
def test_a_page_with_a_table(encoding: str, before: str) -> None:
    names = "".join(f"<td>{name}</td>" for name in CNKI)
    rows = (
        f"<tr>{names}</tr><tr><td>期刊</td><td>痛风</td><td>目的：止痛 a&lt;b。<br>方法：观察。</td><td>2019</td></tr>"
    )
    (document,) = read(f"{before}<table border=1>{rows}</table><table><tr><td>x</td></tr></table>".encode(encoding))
    assert (document.source, document.year, document.lang) == ("xls", 2019, "zh")
    assert document.text == "痛风 目的：止痛 a<b。\n方法：观察。"


def test_tabs_under_that_name_are_a_table() -> None:
    assert [d.text for d in read("\t".join(CNKI).encode() + "\n期刊\t痛风\t疼痛。\t2019\t\n".encode())] == [
        "痛风 疼痛。"
    ]


def test_damage_is_told() -> None:
    data = workbook(["id", "text"], ["a", "Gout."])
    with pytest.raises(InputError, match=r"f\.xls: the workbook is damaged"):
        list(read_workbook(Content("f.xls", iter([data[:3000]]))))
    with pytest.raises(InputError, match=r"f\.xls: no column names"):
        read(b"<table><tr></tr></table>")
