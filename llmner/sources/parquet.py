"""Parquet: one document a row.

Invariant: each row gives one document or one rejected document; a file is read by batches of rows whose bytes are
bounded, and only the columns that are mapped. Folders named as in ``year=2019`` are columns, too.
"""

from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.fields import FieldMap, RecordReader, column_of
from llmner.sources.format import Content, Format
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.opening import open_file

SOURCE = "parquet"
BATCH = 64  # rows decoded at once, fewer where they are large
BUFFER = 8 * 1024 * 1024  # bytes of a column held at once; without it, a column of a whole row group


def read_parquet(
    stream: IO[bytes], source_file: str, fields: FieldMap, *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Document]:
    """Read the documents of a Parquet file.

    Args:
        stream: The file; it can seek.
        source_file: Its URL, for the documents and for messages.
        fields: Which column is which field of ours.
        limits: See ``Limits``.

    Yields:
        Documents in the order of the rows. A row that cannot be read is a document with an error.

    Raises:
        InputError: No Parquet, a mapped column that is not there, or damaged data; all rows before those were read.
    """
    reader = RecordReader(SOURCE, source_file, fields, limits)
    number = 0
    try:
        schema = _schema(stream, source_file)
        stream.seek(0)
        # A value that is stored once for many rows is held once.
        texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        file = pq.ParquetFile(stream, buffer_size=BUFFER, read_dictionary=texts)
        existing = schema.names
        if missing := [name for name in fields.required if column_of(name, existing) is None]:
            message = f"{source_file}: no column {', '.join(map(repr, missing))}"
            raise InputError(message, hint=f"its columns: {', '.join(existing)}; map them with fields")
        columns = [found for name in fields.names if (found := column_of(name, existing))]
        if twice := [name for name in columns if existing.count(name) > 1]:
            message = f"{source_file}: several columns are called {', '.join(map(repr, twice))}"
            raise InputError(message, hint="give each column a name of its own")
        for name in (fields.id, fields.text):
            column = column_of(name, existing) or name
            if pa.types.is_nested(schema.field(column).type):
                message = f"{source_file}: column {column!r} is of type {schema.field(column).type}"
                raise InputError(message, hint="write texts and identifiers as plain columns")
        folders = hive_columns(source_file)
        for batch in _batches(file, columns, limits.batch_bytes):
            for row in range(batch.num_rows):
                number += 1
                place = f"{source_file}: row {number:,}"
                try:
                    record = folders | {name: _value(batch.column(name)[row]) for name in columns}
                except UnicodeDecodeError as e:
                    message = f"{place}: not UTF-8: {e.reason}"
                    yield reader.rejected(number, MalformedRecordError(message))
                else:
                    yield reader.read(number, place, record)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:  # the last of a damaged name of a column
        # Arrow reports damaged data as an OSError of its own making; one of the storage is another matter.
        if isinstance(e, OSError) and (type(e) is not OSError or e.errno is not None):
            raise
        raise InputError(f"{source_file}: cannot be read as Parquet after {number:,} rows: {e}") from e


def _schema(stream: IO[bytes], source_file: str) -> pa.Schema:
    try:
        return pq.read_schema(stream)
    except UnicodeDecodeError as e:
        message = f"{source_file}: the name of a column is not UTF-8: {e.object!r}"
        raise InputError(message, hint="give it another name") from e


def _value(value: pa.Scalar) -> Any:
    """Return a value of Python's; None for a date that Python has none for, as for any other that cannot be used.

    Raises:
        UnicodeDecodeError: A text that is not UTF-8.
    """
    try:
        return value.as_py()
    except UnicodeDecodeError:
        raise
    except (OverflowError, ValueError):
        return None


def _batches(file: pq.ParquetFile, columns: list[str], most: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows, of each row group as many at once as have so many bytes, as it says."""
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        size = max(1, metadata.total_byte_size // max(1, metadata.num_rows))  # of a row
        rows = max(1, min(BATCH, most // size))
        yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=columns)


def hive_columns(url: str) -> dict[str, str]:
    """Find the columns that the folders of a file stand for: ``year=2019/part.parquet``."""
    pairs = (folder.split("=", 1) for folder in url.split("/")[:-1] if "=" in folder)
    return {name: unquote(value) for name, value in pairs if name.isidentifier()}


def _read(content: Content) -> Iterator[Document]:
    with open_file(content.file) as stream:
        yield from read_parquet(stream, content.url, content.fields, limits=content.limits)


FORMAT = Format(
    name="parquet",
    title="Parquet",
    suffixes=(".parquet",),
    read=_read,
    recognises=lambda head: head.startswith(b"PAR1"),
    keeps="the columns id, text, title, lang, year, version, pmid, pmcid and doi; the field map tells other names",
    drops="all other columns",
    example="a table with the columns id and text",
    compressed=False,
)
