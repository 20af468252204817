"""Corpus files as documents, whatever their format.

Invariant: a file gives a document for each of its records. What is wrong with a file is one more document, which is
rejected; nothing that is wrong with the input raises. Only storage that failed in passing raises, for that may work the
next time.
"""

import logging
from collections.abc import Iterator

from llmner.documents import FILE_SOURCE, Document
from llmner.errors import InputError, LlmnerError
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.files import SourceFile
from llmner.sources.format import Content, peek
from llmner.sources.opening import read_chunks, verify_checksum
from llmner.sources.registry import AUTO, format_named, recognised
from llmner.sources.texts import MAX_TEXT

logger = logging.getLogger(__name__)


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
        head, chunks = peek(read_chunks(file.url))
        format = recognised(head, file.name) if file.format == AUTO else format_named(file.format)
        if format is None:
            message = f"{file.url}: neither its content nor its name tells its format"
            raise InputError(message, hint="give it by --format")
        yield from format.read(Content(file.url, chunks, fields, max_text))
    except LlmnerError as e:
        if e.retryable:
            raise
        yield Document(FILE_SOURCE, file.url, file.url, "", error=e)
    except Exception as e:  # of a reader that did not foresee it: storage's errors are ours by now
        logger.exception("%s: the reader failed", file.url)
        error = InputError(f"{file.url}: the rest cannot be read: {type(e).__name__}: {e}", hint="mend the file")
        yield Document(FILE_SOURCE, file.url, file.url, "", error=error)
