"""JSON lines: one object a line.

Invariant: each line that is not blank gives one document or one rejected document; memory is bounded by the
longest line that is allowed.
"""

import json
from collections.abc import Iterable, Iterator

from llmner.documents import Document
from llmner.errors import DocumentTooLargeError, MalformedRecordError
from llmner.sources.fields import FieldMap, RecordReader
from llmner.sources.texts import MAX_TEXT

SOURCE = "jsonl"
MAX_LINE = 64 * 1024 * 1024  # bytes of one line

_BOM = b"\xef\xbb\xbf"


def read_jsonl(
    chunks: Iterable[bytes],
    source_file: str,
    fields: FieldMap,
    *,
    max_text: int = MAX_TEXT,
    max_line: int = MAX_LINE,
) -> Iterator[Document]:
    """Read the documents of a file of JSON lines.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        fields: Which field of a line is which of ours.
        max_text: Code points above which a document is rejected.
        max_line: Bytes above which a line is rejected without being held.

    Yields:
        Documents in the order of the lines. A line that cannot be read is a document with an error.
    """
    reader = RecordReader(SOURCE, source_file, "line", fields, max_text)
    for number, line in enumerate(_lines(chunks, max_line), start=1):
        if line is None:
            message = f"{reader.place(number)}: it has more than {max_line:,} bytes"
            yield reader.rejected(number, DocumentTooLargeError(message))
            continue
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as e:
            message = f"{reader.place(number)}: not UTF-8: {e.reason} at byte {e.start:,} of the line"
            yield reader.rejected(number, MalformedRecordError(message, hint="convert the file to UTF-8"))
        except (ValueError, RecursionError) as e:
            yield reader.rejected(number, MalformedRecordError(f"{reader.place(number)}: not JSON: {e}"))
        else:
            if isinstance(record, dict):
                yield reader.read(number, record)
            else:
                message = f"{reader.place(number)}: a JSON {type(record).__name__}, not an object"
                yield reader.rejected(number, MalformedRecordError(message, hint="write one object a line"))


def _lines(chunks: Iterable[bytes], max_line: int) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is too long."""
    parts: list[bytes] = []  # of the line that has not ended yet
    size = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            yield None if size + len(end) > max_line else b"".join([*parts, end])
            parts, size = [], 0
        size += len(rest)
        parts = [*parts, rest] if size <= max_line else []
    if size:
        yield None if size > max_line else b"".join(parts)
