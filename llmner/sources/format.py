"""What a format is, and what its reader is given.

Invariant: a format is declared once, in the module that reads it; everything that lists, detects or names formats reads
these declarations from ``registry``.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from llmner.documents import Document
from llmner.errors import DocumentTooLargeError, InputError, LlmnerError
from llmner.sources.encodings import encoding_of
from llmner.sources.fields import DEFAULT_FIELDS, FieldMap
from llmner.sources.limits import DEFAULT_LIMITS, Limits

HEAD = 16 * 1024  # bytes from which a format is recognised

_COMPRESSIONS = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file, and how it is to be read.

    Attributes:
        url: Where it is, as documents and messages have it.
        file: Where it lies, for a reader that opens the file itself.
        chunks: Its uncompressed bytes in pieces of any size; they can be read once.
        fields: Which field is which, for formats whose records have named fields.
        limits: See ``Limits``.
    """

    url: str
    chunks: Iterator[bytes]
    fields: FieldMap = DEFAULT_FIELDS
    limits: Limits = DEFAULT_LIMITS
    file: str = ""

    def whole(self) -> bytes:
        """Return the whole content.

        Raises:
            DocumentTooLargeError: It is too large to be held.
        """
        data = bytearray()
        for chunk in self.chunks:
            data += chunk
            if len(data) > self.limits.file_bytes:
                message = f"{self.url}: more than {self.limits.file_bytes:,} bytes, and this format is read as a whole"
                raise DocumentTooLargeError(message, hint="raise limits.file_bytes, or split the file")
        return bytes(data)

    def text(self) -> str:
        """The whole content as text, its line ends as they are.

        Raises:
            InputError: It is neither UTF-8 nor GB18030, or too large to be held.
        """
        data = self.whole()
        try:
            return data.decode(encoding_of(data)).removeprefix("\ufeff")
        except UnicodeDecodeError as e:
            message = f"{self.url}: neither UTF-8 nor GB18030: {e.reason} at byte {e.start:,}"
            raise InputError(message, hint="convert the file to UTF-8") from e


@dataclass(frozen=True, slots=True)
class Format:
    """A format of corpus files.

    Attributes:
        name: What options, messages and data sets call it.
        title: What people call it.
        suffixes: How the names of its files end, without the suffix of a compression.
        read: Reads the documents of a file.
        recognises: Whether the first bytes of a file, white space and byte order mark removed, are of this format.
        keeps: What of a record is kept.
        drops: What of a record is left out.
        example: The beginning of a file.
        corpus: Whether it holds gold annotations, for ``convert``.
        documents: Whether it holds documents to extract from.
        compressed: Whether it can be read compressed and from archives.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Callable[[Content], Iterator[Document]]
    recognises: Callable[[bytes], bool]
    keeps: str
    drops: str
    example: str
    corpus: bool = False
    documents: bool = True
    compressed: bool = True

    def named(self, name: str) -> bool:
        """Return whether a file is called as files of this format are."""
        name = name.lower()
        if self.compressed:
            name = next((name.removesuffix(c) for c in _COMPRESSIONS if name.endswith(c)), name)
        return name.endswith(self.suffixes)


def by_name_only(head: bytes) -> bool:
    """Recognise nothing, for formats whose content looks like anything."""
    return False


def peek(chunks: Iterable[bytes], size: int = HEAD) -> tuple[bytes, Iterator[bytes]]:
    """Read the first bytes of a content.

    Returns:
        At least so many bytes if there are as many, then the whole content again. If it breaks off in them, that error
        comes when all before was given again.
    """
    chunks = iter(chunks)
    first: list[bytes] = []
    missing = size
    try:
        while missing > 0 and (chunk := next(chunks, None)) is not None:
            first.append(chunk)
            missing -= len(chunk)
    except LlmnerError as e:
        chunks = _failing(e)
    return b"".join(first)[:size], chain(first, chunks)


def _failing(error: LlmnerError) -> Iterator[bytes]:
    yield from ()
    raise error
