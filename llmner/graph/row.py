"""What the check knows of a row of an export."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        file: Its file.
        line: Its line there, from 1; in Parquet its row.
        problems: What is wrong with it by itself.
        identifiers: CURIEs that it holds.
        keys: What may stand once in each group: group and key.
        ends: What must be among the keys of a group: group and key.
    """

    file: str
    line: int
    problems: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    ends: tuple[tuple[str, str], ...] = ()
