"""Corpus files as documents, whatever their format.

Invariant: a file gives a document for each of its records. What is wrong with a file is one more document, which is
rejected; nothing that is wrong with the input raises. Only storage that failed in passing raises, for that may work the
next time.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from llmner.documents import FILE_SOURCE, Document
from llmner.errors import InputError, LlmnerError, printable
from llmner.sources.archives import members
from llmner.sources.compression import decompressed
from llmner.sources.encodings import as_utf8
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.files import SourceFile
from llmner.sources.format import Content, peek
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.opening import read_chunks, verify_checksum
from llmner.sources.registry import AUTO, called, format_named, recognised

logger = logging.getLogger(__name__)


def read_file(
    file: SourceFile,
    fields: FieldMap = DEFAULT_FIELDS,
    *,
    limits: Limits = DEFAULT_LIMITS,
    on_read: Callable[[int], None] | None = None,
) -> Iterator[Document]:
    """Read the documents of a file, one after another.

    Args:
        file: The file.
        fields: Which field is which, for formats whose records have named fields.
        limits: See ``Limits``.
        on_read: Is told the bytes of each piece that is read, as it is stored; of a zip file those of its beginning.

    Yields:
        Its documents; last, if the file or its rest cannot be read, one with that error.

    Raises:
        StorageError: Storage that failed in passing.
    """
    try:
        verify_checksum(file.url)
        head, chunks = peek(read_chunks(file.url, on_read, limits))
        archive = members(file.url, head, chunks, limits)
        if archive is None:
            yield from _read(Content(file.shown, chunks, fields, limits, file.url), file.format)
        else:
            yield from _read_members(archive, file, fields, limits)
    except LlmnerError as e:
        yield _broken(file.shown, e)


def _read_members(
    archive: Iterator[tuple[str, Iterator[bytes]]], file: SourceFile, fields: FieldMap, limits: Limits
) -> Iterator[Document]:
    """Read the files of an archive; those that are called as files of no format are passed over and reported."""
    others = 0
    for name, chunks in archive:
        url = f"{file.shown}/{printable(name)}"
        if name.rpartition("/")[2].startswith((".", "_")) or not (file.format != AUTO or called(name)):
            others += 1
            continue
        try:
            yield from _read(Content(url, decompressed(chunks, url, limits), fields, limits), file.format)
        except LlmnerError as e:
            yield _broken(url, e)
    if others:
        logger.warning("%s: %d files in it passed over, whose names tell no format", file.shown, others)


def _read(content: Content, format: str) -> Iterator[Document]:
    url = content.url
    head, chunks = peek(as_utf8(content.chunks))
    found = recognised(head, url) if format == AUTO else format_named(format)
    if found is None:
        raise InputError(f"{url}: neither its content nor its name tells its format", hint="give it by --format")
    try:
        yield from found.read(replace(content, chunks=chunks))
    except LlmnerError:
        raise
    except Exception as e:  # of a reader that did not foresee it: storage's errors are ours by now
        logger.exception("%s: the reader failed", url)
        raise InputError(f"{url}: the rest cannot be read: {type(e).__name__}: {e}", hint="mend the file") from e


def _broken(url: str, error: LlmnerError) -> Document:
    """Return the document that stands for a file, or for the rest of one.

    Raises:
        StorageError: Storage that failed in passing is no fault of the file.
    """
    if error.retryable:
        raise error
    return Document(FILE_SOURCE, url, url, "", error=error)
