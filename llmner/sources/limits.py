"""Limits of what is read: what goes beyond one is rejected alone, and its error names the key to raise.

Invariant: the memory of a worker that reads is bounded by these, whatever a file holds.
"""

from pydantic import Field

from llmner.settings import Settings


class Limits(Settings):
    """How large a part of the inputs may be; the error of what is larger names the key to raise.

    Attributes:
        characters: Code points of the text of one document.
        record_bytes: Bytes of one record: a line, an element of an XML or JSON file, the lines of an export.
        values: Elements or values of one record; parsed, each takes a hundred times the bytes that it has.
        file_bytes: Bytes of a file whose format is read as a whole.
        inflation: Times as many bytes as are stored that a compressed file may hold. Texts come to ten, one sentence
            over and over to hundreds.
        batch_bytes: Bytes of Parquet's rows that are decoded at once.
    """

    characters: int = Field(default=2_000_000, ge=1)
    record_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    values: int = Field(default=1_000_000, ge=1)
    file_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    inflation: int = Field(default=500, ge=1)
    batch_bytes: int = Field(default=64 * 1024 * 1024, ge=1)


DEFAULT_LIMITS = Limits()
