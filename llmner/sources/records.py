"""The records of a byte stream: pieces that are read one by one, so that a broken one harms none of its neighbours.

Invariant: a record knows its number and its first byte in the uncompressed file; one that is too large is never held.
"""

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llmner.errors import DocumentTooLargeError, InputError, MalformedRecordError
from llmner.sources.limits import DEFAULT_LIMITS, Limits


class Record(NamedTuple):
    """The bytes of a record.

    Attributes:
        number: Its place among the records of the file, from 1.
        offset: Byte of the uncompressed file at which it begins.
        data: Its bytes.
        error: Why the record is not whole; then the bytes are a part of it, or none.
        unit: What the file calls a record.
    """

    number: int
    offset: int
    data: bytes
    error: InputError | None = None
    unit: str = "record"

    def place(self, url: str) -> str:
        """Say where the record is, for messages."""
        return f"{url}: {self.unit} {self.number:,} at byte {self.offset:,}"

    def text(self, url: str) -> str:
        """Decode the record.

        Raises:
            InputError: It is not whole, or not UTF-8.
        """
        if self.error:
            raise self.error
        try:
            return self.data.decode()
        except UnicodeDecodeError as e:
            message = f"{self.place(url)}: not UTF-8: {e.reason} at byte {e.start:,} of the {self.unit}"
            raise MalformedRecordError(message, hint="convert the file to UTF-8") from e

    def too_large(self, url: str, most: int) -> "Record":
        """Return the record without its bytes and with the error that it is too large."""
        message = f"{self.place(url)}: it has more than {most:,} bytes"
        hint = "raise limits.record_bytes, or split it"
        return self._replace(data=b"", error=DocumentTooLargeError(message, hint=hint))


def read_lines(chunks: Iterable[bytes], url: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Record]:
    """Cut a stream into lines, without their line feeds and without the byte order mark of the first.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        url: Where the file is, for messages.
        limits: See ``Limits``.
    """
    most = limits.record_bytes
    line = bytearray()  # what has been read of the line that has not ended yet, as long as that is not too large
    size = offset = 0
    number = 1

    def record(data: bytes) -> Record:
        found = Record(number, offset, data, None, "line")
        if size > most:
            return found.too_large(url, most)
        return found._replace(data=data.removeprefix(codecs.BOM_UTF8)) if number == 1 else found

    for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for piece in ends:
            size += len(piece)
            yield record(bytes(line) + piece if line else piece)
            offset += size + 1
            number += 1
            size = 0
            line.clear()
        size += len(rest)
        if size <= most:
            line += rest
    if size:
        yield record(bytes(line))
