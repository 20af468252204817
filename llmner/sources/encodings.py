"""Encodings: which one a file of text is in."""

import codecs
from collections.abc import Iterable, Iterator

UTF8 = "utf-8"
GB18030 = "gb18030"


def encoding_of(head: bytes | bytearray) -> str:
    """Tell UTF-8 from GB18030 (with GBK and GB2312 in it) by what most lines of a text are.

    Args:
        head: Its first bytes; the last character need not be whole.
    """
    lines = [line for line in bytes(head).split(b"\n") if not line.isascii()]
    return UTF8 if 2 * sum(map(_is_utf8, lines)) >= len(lines) else GB18030


def _is_utf8(line: bytes) -> bool:
    try:
        codecs.getincrementaldecoder(UTF8)().decode(line)
    except UnicodeDecodeError:
        return False
    return True


def as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give a content in UTF-8 if it begins with the mark of UTF-16, else as it is."""
    decoder: codecs.IncrementalDecoder | None = None
    for number, chunk in enumerate(chunks):
        if not number and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        yield decoder.decode(chunk).encode() if decoder else chunk
    if decoder:
        yield decoder.decode(b"", final=True).encode()
