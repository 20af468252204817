"""Tables as text: CSV and TSV with a line of column names; also the tables that CNKI exports.

Invariant: each row gives one document or one rejected document; memory is bounded by the longest row that is allowed.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.encodings import encoding_of
from llmner.sources.fields import RecordReader
from llmner.sources.format import Content, Format, by_name_only, peek
from llmner.sources.records import MAX_RECORD, Record, read_lines

SOURCE = "table"

_DELIMITERS = "\t,;"
_CNKI = {"Title-题名": "title", "Summary-摘要": "text", "DOI-DOI": "doi", "Year-年": "year"}


def read_table(content: Content) -> Iterator[Document]:
    """Read the documents of a table.

    Yields:
        Documents in the order of the rows. A row that cannot be read is a document with an error.

    Raises:
        InputError: It has no column names.
    """
    head, chunks = peek(content.chunks)
    lines = _Lines(read_lines(chunks, content.url), encoding_of(head), content.url)
    first = head.decode(encoding_of(head), "ignore").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(MAX_RECORD)
    rows = csv.reader(lines, delimiter=delimiter)
    names = next(rows, [])
    if not any(names):
        raise InputError(f"{content.url}: no column names in its first line")
    of_cnki = "Title-题名" in (name.strip() for name in names)
    names = [_CNKI.get(name.strip(), name.strip()) for name in names]
    reader = RecordReader(SOURCE, content.url, content.fields, content.max_text)
    number = 0
    while True:
        lines.begin()
        number += 1
        try:
            if (cells := next(rows, None)) is None:
                return
            if len(cells) > len(names):
                raise MalformedRecordError(f"{lines.place(number)}: {len(cells)} cells, but {len(names)} columns")
        except InputError as e:
            yield reader.rejected(number, e)
        except csv.Error as e:
            yield reader.rejected(number, MalformedRecordError(f"{lines.place(number)}: {e}"))
        else:
            record = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
            if record:
                yield reader.read(number, lines.place(number), _identified(record) if of_cnki else record)


def _identified(record: dict[str, str]) -> dict[str, str]:
    """Return a record of CNKI's with an identifier, and with an empty text where there is no abstract."""
    digest = hashlib.sha256(repr((record.get("title"), record.get("text"))).encode()).hexdigest()[:16]
    return {"id": record.get("doi") or digest, "text": "", **record}


class _Lines:
    """The lines of a file as text, with the place of the row that is being read."""

    def __init__(self, lines: Iterable[Record], encoding: str, url: str) -> None:
        self._lines = iter(lines)
        self._encoding = encoding
        self._url = url
        self._offset: int | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
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
    suffixes=(".csv", ".tsv"),
    read=read_table,
    recognises=by_name_only,
    keeps="the columns id, text, title, lang, year, version, pmid, pmcid and doi; the field map tells other names",
    drops="all other columns",
    example="id,title,text",
)
