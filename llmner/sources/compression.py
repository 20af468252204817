"""Compressed streams, told by their first bytes.

Invariant: what comes out at once is bounded however far the data are compressed, and so is what comes out of how little
is stored. Data that end before their end, or are damaged, are an error, never a shorter stream.
"""

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import pyarrow as pa

from llmner.errors import DocumentTooLargeError, InputError, TruncatedFileError
from llmner.sources.limits import DEFAULT_LIMITS, Limits

CHUNK = 256 * 1024  # bytes read, or decompressed, at once
INFLATION_CHECKED = 128 * 1024 * 1024  # bytes of content from which on it is compared with what is stored

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class ChunkStream(io.RawIOBase):
    """A file to read, made of pieces."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read as many bytes as asked for, fewer only at the end."""
        parts, length = [self._rest], len(self._rest)
        while (size < 0 or length < size) and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        end = len(data) if size < 0 else size
        self._rest = data[end:]
        return data[:end]


def decompressed(chunks: Iterable[bytes], url: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[bytes]:
    """Give a stream without its compression, if it has one.

    Args:
        chunks: The stream.
        url: Where it is, for messages.
        limits: See ``Limits``.

    Raises:
        InputError: Its data are damaged, or are far more than is stored.
        TruncatedFileError: Its data end before their end; all before was given.
    """
    chunks = iter(chunks)
    first = next(chunks, b"")
    read = 0

    def stored() -> Iterator[bytes]:
        nonlocal read
        for chunk in chain([first], chunks):
            read += len(chunk)
            yield chunk

    if first.startswith(_GZIP_MAGIC):
        yield from within_inflation(_gunzip(stored(), url), lambda: read, url, limits)
    elif first.startswith(_ZSTD_MAGIC):
        yield from within_inflation(_unzstd(stored(), url), lambda: read, url, limits)
    else:
        yield from stored()


def within_inflation(content: Iterable[bytes], stored: Callable[[], int], url: str, limits: Limits) -> Iterator[bytes]:
    """Give a decompressed content as long as it is not far more than is stored.

    Args:
        content: The content in pieces.
        stored: Returns the compressed bytes that it was made of so far.
        url: Where it is, for messages.
        limits: See ``Limits``.

    Raises:
        DocumentTooLargeError: It is too many times as much.
    """
    size = 0
    for piece in content:
        size += len(piece)
        if size > INFLATION_CHECKED and size > limits.inflation * stored():
            message = f"{url}: more than {limits.inflation} times as many bytes as are stored, after {size:,} of them"
            raise DocumentTooLargeError(message, hint="no text is so; if this one is, raise limits.inflation")
        yield piece


def _unzstd(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(ChunkStream(chunks), mode="r"), "zstd")
    size = 0
    while True:
        try:
            piece = stream.read(CHUNK)
        except OSError as e:
            # Arrow reports damaged data as an OSError of its own making; one of the storage is another matter.
            if type(e) is not OSError or e.errno is not None:
                raise
            message = f"{url}: damaged Zstandard data, or their end is missing, after {size:,} bytes of content: {e}"
            raise InputError(message, hint="fetch the file again") from e
        if not piece:
            return
        size += len(piece)
        yield piece


def _gunzip(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    """Decompress gzip, one member after another, never more than ``CHUNK`` bytes at once."""
    member = zlib.decompressobj(wbits=31)
    size = 0
    try:
        for chunk in chunks:
            while chunk:
                if member.eof:
                    chunk = chunk.lstrip(b"\0")  # padding between members
                    if not chunk:
                        break
                    member = zlib.decompressobj(wbits=31)
                piece = member.decompress(chunk, CHUNK)
                chunk = member.unused_data if member.eof else member.unconsumed_tail
                size += len(piece)
                yield piece
        if not member.eof:
            yield member.flush()  # what the last call had no room for
    except zlib.error as e:
        message = f"{url}: damaged gzip data after {size:,} bytes of content: {e}"
        raise InputError(message, hint="fetch the file again") from e
    if not member.eof:
        message = f"{url}: the gzip data end in the middle, after {size:,} bytes of content"
        raise TruncatedFileError(message, hint="fetch the file again")
