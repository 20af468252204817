"""Opening a vocabulary's files, plain or compressed, local or by URL."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import fsspec

from llmner import storage
from llmner.errors import InputError, InputNotFoundError

_LONGEST_FIELD = 1 << 20  # characters of a field of a table


@contextmanager
def open_bytes(path: str) -> Iterator[IO[bytes]]:
    """Open a file for reading; ``.gz``, ``.bz2``, ``.xz`` and ``.zst`` are decompressed.

    Raises:
        InputNotFoundError: No such file.
        InputError: It cannot be read as what its name says.
    """
    try:
        with fsspec.open(storage.absolute_uri(path), "rb", compression="infer") as stream:
            yield stream
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file") from None
    except (OSError, EOFError) as e:
        raise InputError(f"{path}: cannot be read: {e}") from e


def lines(path: str) -> Iterator[str]:
    """Yield the lines of a text file without their ends.

    Raises:
        InputError: It is not in UTF-8.
    """
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as e:
                raise InputError(f"{path}, line {number}: {e}", hint="the file must be in UTF-8") from e


def table(path: str, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table with a header and tabs between fields, with the number of their line.

    Args:
        path: The file; a ``#`` before the header is ignored.
        required: Columns that must be there.

    Raises:
        InputError: A column is missing, or a row has another number of fields than the header.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    rows = csv.reader(lines(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip() for name in next(rows, [])]
    header[:1] = [name.removeprefix("\ufeff").lstrip("#").strip() for name in header[:1]]
    if missing := [name for name in required if name not in header]:
        raise InputError(f"{path}: no column {', '.join(missing)}", hint=f"the header has {', '.join(header)}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(f"{path}, line {number}: {len(row)} fields, the header has {len(header)}")
        yield number, dict(zip(header, row, strict=True))


def one_file(paths: Sequence[str], ending: str) -> str | None:
    """Return the path whose name ends so, compressed or not; None where there is none."""
    return next((p for p in paths if ending.lower() in p.rsplit("/", 1)[-1].lower()), None)


def attribute(record: Any, name: str) -> str:
    """Return the text of an element below an XML record; empty where there is none."""
    return (record.findtext(name) or "").strip()
