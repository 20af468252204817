"""Tables: rows of cells below a row of column names, and their form as text, CSV and TSV; also those that CNKI exports.

Invariant: each row gives one document or one rejected document; memory is bounded by the longest row that is allowed.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError, TruncatedFileError
from llmner.sources.encodings import encoding_of
from llmner.sources.fields import RecordReader
from llmner.sources.format import Content, Format, by_name_only, peek
from llmner.sources.records import Record, read_lines

SOURCE = "table"

_DELIMITERS = "\t,;"
_CNKI = {"Title-题名": "title", "Summary-摘要": "text", "DOI-DOI": "doi", "Year-年": "year"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row below the column names.

    Attributes:
        place: Where it is, for messages.
        cells: Its cells, in the order of the columns.
        error: Why it cannot be read; then it has no cells.
    """

    place: str
    cells: Sequence[Any] = ()
    error: InputError | None = None


def read_rows(names: Sequence[str], rows: Iterable[Row], source: str, content: Content) -> Iterator[Document]:
    """Make the documents of a table's rows.

    Args:
        names: Names of the columns.
        rows: The rows below them.
        source: Kind of source.
        content: The file that the table is from.

    Yields:
        Documents in the order of the rows. A row that cannot be read is a document with an error, one without a value
        is none.

    Raises:
        InputError: There are no column names.
    """
    if not any(names):
        raise InputError(f"{content.url}: no column names in its first line")
    of_cnki = "Title-题名" in (name.strip() for name in names)
    names = [_CNKI.get(name.strip(), name.strip()) for name in names]
    reader = RecordReader(source, content.url, content.fields, content.limits)
    for number, row in enumerate(rows, 1):
        if row.error:
            yield reader.rejected(number, row.error)
        elif len(row.cells) > len(names):
            error = MalformedRecordError(f"{row.place}: {len(row.cells)} cells, but {len(names)} columns")
            yield reader.rejected(number, error)
        elif record := {name: cell for name, cell in zip(names, row.cells, strict=False) if cell not in (None, "")}:
            yield reader.read(number, row.place, _identified(record) if of_cnki else record)


def read_table(content: Content) -> Iterator[Document]:
    """Read the documents of a table as text; see ``read_rows``."""
    head, chunks = peek(content.chunks)
    lines = _Lines(read_lines(chunks, content.url, limits=content.limits), encoding_of(head), content.url)
    first = head.decode(encoding_of(head), "ignore").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(content.limits.record_bytes)
    cells = csv.reader(lines, delimiter=delimiter)
    try:
        names = next(cells, [])
    except csv.Error as e:
        raise InputError(f"{content.url}: its first line cannot be read: {e}") from e
    yield from read_rows(names, _rows(cells, lines), SOURCE, content)


def _rows(cells: Iterator[list[str]], lines: "_Lines") -> Iterator[Row]:
    number = 0
    while True:
        lines.begin()
        number += 1
        try:
            if (found := next(cells, None)) is None:
                return
        except InputError as e:
            yield Row(lines.place(number), error=e)
        except csv.Error as e:
            place = lines.place(number)
            yield Row(place, error=MalformedRecordError(f"{place}: {e}"))
        else:
            place = lines.place(number)
            # A row whose end is that of the file has a quotation mark that is never closed, and others' rows behind it.
            error = TruncatedFileError(f"{place}: the file ends inside a quoted cell of it", hint="close the quotes")
            yield Row(place, error=error) if lines.ended else Row(place, found)


def _identified(record: dict[str, Any]) -> dict[str, Any]:
    """A record of CNKI's with an identifier, and with an empty text where there is no abstract."""
    digest = hashlib.sha256(repr((record.get("title"), record.get("text"))).encode()).hexdigest()[:16]
    return {"id": record.get("doi") or digest, "text": "", **record}


class _Lines:
    """The lines of a file as text, with the place of the row that is being read."""

    def __init__(self, lines: Iterable[Record], encoding: str, url: str) -> None:
        self._lines = iter(lines)
        self._encoding = encoding
        self._url = url
        self._offset: int | None = None
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if (line := next(self._lines, None)) is None:
            self.ended = True
            raise StopIteration
        if self._offset is None:
            self._offset = line.offset
        if line.error:
            raise line.error
        try:
            return line.data.decode(self._encoding) + "\n"
        except UnicodeDecodeError as e:
            message = f"{line.place(self._url)}: not {self._encoding}: {e.reason}"
            raise MalformedRecordError(message, hint="convert the file to UTF-8") from e

    def begin(self) -> None:
        """Note that the next line begins a row."""
        self._offset = None

    def place(self, number: int) -> str:
        """Say where the row is."""
        return Record(number, self._offset or 0, b"", unit="row").place(self._url)


FORMAT = Format(
    name=SOURCE,
    title="CSV and TSV, CNKI's tables",
    suffixes=(".csv", ".tsv", ".xls"),
    read=read_table,
    recognises=by_name_only,
    keeps="the columns id, text, title, lang, year, version, pmid, pmcid and doi; the field map tells other names",
    drops="all other columns",
    example="id,title,text",
)
