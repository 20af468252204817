"""Tables that spreadsheets open: Excel's .xls, and web pages with a table that databases export under that name.

Invariant: each row of the first table gives one document or one rejected document. The file is held as a whole, and its
size is bounded; a sheet has at most 65,536 rows.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree, html

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.encodings import encoding_of
from llmner.sources.format import Content, Format
from llmner.sources.tables import Row, read_rows

SOURCE = "xls"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PAGE = (b"<html", b"<!doctype html", b"<table", b"<meta")


def read_workbook(content: Content) -> Iterator[Document]:
    """Read the documents of a table; see ``tables.read_rows``.

    Raises:
        InputError: It is damaged, or there is no table in it.
    """
    data = content.whole()
    rows = _sheet(data, content.url) if data.startswith(_OLE) else _page(data, content.url)
    names = next(rows, Row(""))
    yield from read_rows([str(cell) for cell in names.cells], rows, SOURCE, content)


def _sheet(data: bytes, url: str) -> Iterator[Row]:
    """The rows of a workbook's first sheet; of a damaged one as far as they can be read."""
    import xlrd

    try:
        with xlrd.open_workbook(file_contents=data, on_demand=True, logfile=io.StringIO()) as book:
            sheet = book.sheet_by_index(0)
            for number in range(sheet.nrows):
                yield Row(f"{url}: row {number:,}", [_value(cell, book.datemode) for cell in sheet.row(number)])
    except Exception as e:  # xlrd raises whatever damaged data lead it to
        raise InputError(f"{url}: the workbook is damaged: {e}", hint="fetch it again, or export CSV") from e


def _value(cell: Any, datemode: int) -> Any:
    """The value of a cell; None for an empty one, an error such as a division by zero, and a date out of range."""
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return xlrd.xldate_as_datetime(cell.value, datemode)
        except (OverflowError, ValueError):
            return None
    return None if cell.ctype == xlrd.XL_CELL_ERROR else cell.value


def _page(data: bytes, url: str) -> Iterator[Row]:
    """The rows of a page's first table."""
    parser = html.HTMLParser(encoding=encoding_of(data), no_network=True)
    try:
        root = html.document_fromstring(data, parser=parser)
    except (etree.ParserError, ValueError) as e:
        raise MalformedRecordError(f"{url}: cannot be read as a page: {e}") from e
    for table in root.iter("table"):
        for number, row in enumerate(table.iter("tr")):
            yield Row(f"{url}: row {number:,}", _cells(row))
        return


def _cells(row: html.HtmlElement) -> Sequence[str]:
    for line_end in row.iter("br"):
        line_end.tail = f"\n{line_end.tail or ''}"
    return [cell.text_content().strip() for cell in row if cell.tag in ("td", "th")]


FORMAT = Format(
    name=SOURCE,
    title="Excel's .xls and exported pages with a table (CNKI)",
    suffixes=(".xls",),
    read=read_workbook,
    recognises=lambda head: head.startswith(_OLE) or (head[:15].lower().startswith(_PAGE) and b"<tr" in head.lower()),
    keeps="of the first table what is kept of a CSV",
    drops="all other columns and tables",
    example="<table><tr><td>Title-题名</td></tr></table>",
)
