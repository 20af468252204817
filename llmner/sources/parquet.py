"""Parquet: one document a row.

Invariant: each row gives one document or one rejected document; a file is read by batches of rows, and only the
columns that are mapped.
"""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.fields import FieldMap, RecordReader
from llmner.sources.format import Content, Format
from llmner.sources.opening import open_file
from llmner.sources.texts import MAX_TEXT

SOURCE = "parquet"
BATCH = 64  # rows decoded at once
BUFFER = 8 * 1024 * 1024  # bytes of a column held at once; without it, a column of a whole row group


def read_parquet(
    stream: IO[bytes], source_file: str, fields: FieldMap, *, max_text: int = MAX_TEXT
) -> Iterator[Document]:
    """Read the documents of a Parquet file.

    Args:
        stream: The file; it can seek.
        source_file: Its URL, for the documents and for messages.
        fields: Which column is which field of ours.
        max_text: Code points above which a document is rejected.

    Yields:
        Documents in the order of the rows. A row that cannot be read is a document with an error.

    Raises:
        InputError: No Parquet, a mapped column that is not there, or damaged data; all rows before those were read.
    """
    reader = RecordReader(SOURCE, source_file, fields, max_text)
    number = 0
    try:
        file = pq.ParquetFile(stream, buffer_size=BUFFER)
        existing = file.schema_arrow.names
        if missing := [name for name in fields.required if name not in existing]:
            message = f"{source_file}: no column {', '.join(map(repr, missing))}"
            raise InputError(message, hint=f"its columns: {', '.join(existing)}; map them with fields")
        columns = [name for name in fields.names if name in existing]
        for batch in file.iter_batches(batch_size=BATCH, columns=columns):
            for row in range(batch.num_rows):
                number += 1
                place = f"{source_file}: row {number:,}"
                try:
                    record: dict[str, Any] = {name: batch.column(name)[row].as_py() for name in columns}
                except UnicodeDecodeError as e:
                    message = f"{place}: not UTF-8: {e.reason}"
                    yield reader.rejected(number, MalformedRecordError(message))
                else:
                    yield reader.read(number, place, record)
    except (pa.ArrowException, OSError) as e:
        # Arrow reports damaged data as an OSError of its own making; one of the storage is another matter.
        if isinstance(e, OSError) and (type(e) is not OSError or e.errno is not None):
            raise
        raise InputError(f"{source_file}: cannot be read as Parquet after {number:,} rows: {e}") from e


def _read(content: Content) -> Iterator[Document]:
    with open_file(content.url) as stream:
        yield from read_parquet(stream, content.url, content.fields, max_text=content.max_text)


FORMAT = Format(
    name="parquet",
    title="Parquet",
    suffixes=(".parquet",),
    read=_read,
    recognises=lambda head: head.startswith(b"PAR1"),
    keeps="the columns id, text, title, lang, year and version, under the names that the field map gives",
    drops="all other columns",
    example="a table with the columns id and text",
    compressed=False,
)
