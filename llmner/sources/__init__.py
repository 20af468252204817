"""Corpus files as documents, whatever their format.

Invariant: a file gives a document for each of its records, and what is wrong with a file is one more document, which
is rejected; nothing that is wrong with the input raises. Only storage that failed in passing does, for that may
work the next time.
"""

from collections.abc import Iterator

from llmner.documents import FILE_SOURCE, Document
from llmner.errors import LlmnerError
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.files import SourceFile, open_file, read_chunks, verify_checksum
from llmner.sources.jsonl import read_jsonl
from llmner.sources.parquet import read_parquet
from llmner.sources.pubmed import read_pubmed
from llmner.sources.texts import MAX_TEXT


def read_file(file: SourceFile, fields: FieldMap = DEFAULT_FIELDS, *, max_text: int = MAX_TEXT) -> Iterator[Document]:
    """Read the documents of a file, one after another.

    Args:
        file: The file.
        fields: Which field is which, for formats whose records have named fields.
        max_text: Code points above which a document is rejected.

    Yields:
        Its documents; last, if the file or its rest cannot be read, one with that error.

    Raises:
        StorageError: Storage that failed in passing.
    """
    try:
        verify_checksum(file.url)
        yield from _read(file, fields, max_text)
    except LlmnerError as e:
        if e.retryable:
            raise
        yield Document(FILE_SOURCE, file.url, file.url, "", error=e)


def _read(file: SourceFile, fields: FieldMap, max_text: int) -> Iterator[Document]:
    match file.format:
        case "pubmed":
            yield from read_pubmed(read_chunks(file.url), file.url, max_text=max_text)
        case "jsonl":
            yield from read_jsonl(read_chunks(file.url), file.url, fields, max_text=max_text)
        case "parquet":
            with open_file(file.url) as stream:
                yield from read_parquet(stream, file.url, fields, max_text=max_text)
