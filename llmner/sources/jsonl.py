"""JSON: one object a line, or a list of objects.

Invariant: each line that is not blank, and each element of a list, gives one document or one rejected document; memory
is bounded by the longest that is allowed.
"""

from collections.abc import Iterable, Iterator

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.encodings import UTF8, encoding_of
from llmner.sources.fields import FieldMap, RecordReader
from llmner.sources.format import Format, by_name_only, peek
from llmner.sources.json_records import json_records, parse_json
from llmner.sources.limits import DEFAULT_LIMITS, Limits

SOURCE = "jsonl"


def read_jsonl(
    chunks: Iterable[bytes],
    source_file: str,
    fields: FieldMap,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Document]:
    """Read the documents of a file of JSON lines, or of a JSON list.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        fields: Which field of a record is which of ours.
        limits: See ``Limits``.

    Yields:
        Documents in order. A record that cannot be read is a document with an error.

    Raises:
        InputError: The whole file is in another encoding than UTF-8.
    """
    head, chunks = peek(chunks)
    if _is_foreign(head):
        raise InputError(f"{source_file}: not UTF-8, line after line", hint="convert the file to UTF-8")
    reader = RecordReader(SOURCE, source_file, fields, limits)
    for record in json_records(chunks, source_file, limits=limits):
        try:
            value = parse_json(record, source_file, limits)
            if not isinstance(value, dict):
                message = f"{record.place(source_file)}: a JSON {type(value).__name__}, not an object"
                raise MalformedRecordError(message, hint="write one object a line, or a list of objects")
        except InputError as e:
            yield reader.rejected(record.number, e)
        else:
            yield reader.read(record.number, record.place(source_file), value)


def _is_foreign(head: bytes) -> bool:
    """Return whether a file is in another encoding, and not only a line of it broken: most lines are not UTF-8."""
    lines = head.split(b"\n")
    lines = [line for line in (lines[:-1] or lines) if line.strip()]
    foreign = sum(encoding_of(line) != UTF8 for line in lines)
    return foreign > len(lines) / 2


FORMAT = Format(
    name="jsonl",
    title="JSON lines, JSON lists",
    suffixes=(".jsonl", ".ndjson", ".json"),
    read=lambda content: read_jsonl(content.chunks, content.url, content.fields, limits=content.limits),
    recognises=by_name_only,
    keeps="the fields id, text, title, lang, year, version, pmid, pmcid and doi; the field map tells other names",
    drops="all other fields",
    example='{"id": "1", "title": "A title", "text": "A text."}',
)
