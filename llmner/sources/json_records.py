"""JSON that is not trusted: lines of objects, lists, and collections with a list inside, cut into records.

Invariant: the records of a list are parsed one by one, so memory is bounded by the largest, and one that is not JSON
harms none other as long as its brackets and quotation marks are closed.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from llmner.errors import DocumentTooLargeError, MalformedRecordError, TruncatedFileError
from llmner.sources.format import peek
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.records import Record, read_lines

_FIRST_LINES, _LINES = 1 << 20, 50  # bytes and lines that show whether a file is one record a line
_MARK = re.compile(rb'["\[\]{}]')
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)  # up to its end, or to an escape that is not whole
_KEY = re.compile(rb'"((?:[^"\\]|\\.)*+)"\s*:\s*$')
_BETWEEN = b", \t\r\n" + codecs.BOM_UTF8  # what may stand between records
_LONGEST_KEY = 200  # bytes before a list in which its key is looked for


def parse_json(record: Record, url: str, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Parse one record.

    Raises:
        MalformedRecordError: It is not JSON, or not UTF-8.
        DocumentTooLargeError: It has too many values.
        InputError: It is not whole.
    """
    text = record.text(url)
    if len(text) > limits.values and sum(map(text.count, "[{,")) > limits.values:
        message = f"{record.place(url)}: it has more than {limits.values:,} values"
        raise DocumentTooLargeError(message, hint="raise limits.values, or split it")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise MalformedRecordError(f"{record.place(url)}: not JSON: {e}") from e


def json_records(
    chunks: Iterable[bytes], url: str, *, lists: tuple[str, ...] = (), limits: Limits = DEFAULT_LIMITS
) -> Iterator[Record]:
    """Cut a stream into records: the lines of a file of one object a line, or the elements of a list.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        url: Where the file is, for messages.
        lists: Keys of an outer object under which the list may stand.
        limits: See ``Limits``.

    Yields:
        The records in order. Blank lines are none.
    """
    head, chunks = peek(chunks, _FIRST_LINES)
    if _is_lines(head, lists):
        yield from (line for line in read_lines(chunks, url, limits=limits) if line.error or line.data.strip())
    else:
        yield from _elements(chunks, url, {key.encode() for key in lists}, limits.record_bytes)


def _is_lines(head: bytes, lists: tuple[str, ...]) -> bool:
    """Return whether a file is one record a line, and not one value over several lines or a collection."""
    first, *others = [line for line in head.removeprefix(codecs.BOM_UTF8).split(b"\n")[:_LINES] if line.strip()] or [
        b""
    ]
    value = _value(first)
    if first.lstrip().startswith(b"["):
        return value is not None and len(others) > 0
    if first.lstrip().startswith(b"{") and value is None:
        return any(isinstance(_value(line), dict) for line in others if line.startswith(b"{"))
    return not (isinstance(value, dict) and any(isinstance(value.get(key), list) for key in lists))


def _value(line: bytes) -> Any:
    """Return the JSON value of a line; None for a line that is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _elements(chunks: Iterable[bytes], url: str, lists: set[bytes], max_record: int) -> Iterator[Record]:
    """Yield the outermost values; of a list, or an object with a list under a key, the elements of that list."""
    buffer = bytearray()
    base = scan = number = 0
    begin = 0  # of the record in the buffer, or of what follows the last one
    inside = skipping = False  # inside a record; inside what is no record
    quoted = False  # inside a string
    open_ = 0  # brackets
    levels = [0]  # how many brackets are open where records begin, for each list that is open

    def between(end: int) -> Iterator[Record]:
        """Yield what stands between two records beside commas: a value that is neither object nor list, or no JSON."""
        nonlocal number
        if not skipping and (rest := buffer[begin:end].strip(_BETWEEN)):
            number += 1
            yield Record(number, base + begin, bytes(rest))

    for chunk in chunks:
        del buffer[:begin]
        base, scan, begin = base + begin, scan - begin, 0
        buffer += chunk
        while True:
            if quoted:
                scan = _end_of(_IN_STRING, buffer, scan)
                if buffer[scan : scan + 1] != b'"':
                    break
                quoted, scan = False, scan + 1
            if (found := _MARK.search(buffer, scan)) is None:
                scan = len(buffer)
                break
            mark, scan = found[0], found.end()
            if mark == b'"':
                quoted = True
            elif mark in b"[{":
                if not inside and not skipping and open_ == levels[-1]:
                    yield from between(found.start())
                    if mark == b"[" and not open_:
                        levels.append(1)
                        begin = scan
                    else:
                        inside, begin, number = True, found.start(), number + 1
                elif inside and mark == b"[" and open_ == levels[-1] + 1 and _key(buffer, found.start()) in lists:
                    levels.append(open_ + 1)
                    inside, begin, number = False, scan, number - 1
                open_ += 1
            elif open_:
                open_ -= 1
                if open_ == levels[-1] and inside:
                    record = Record(number, base + begin, bytes(buffer[begin:scan]))
                    yield record if scan - begin <= max_record else record.too_large(url, max_record)
                    inside, begin = False, scan
                elif open_ < levels[-1]:
                    yield from between(found.start())
                    levels.pop()
                    skipping, begin = open_ > levels[-1], scan
                elif open_ == levels[-1]:
                    skipping, begin = False, scan
        if not skipping and len(buffer) - begin > max_record:
            number += not inside
            yield Record(number, base + begin, b"").too_large(url, max_record)
            inside, skipping = False, True
        if skipping:
            begin = scan
    if open_:
        message = f"{url}: the JSON ends before its end, in or after record {number:,} at byte {base + begin:,}"
        raise TruncatedFileError(message, hint="fetch the file again")
    yield from between(len(buffer))


def _end_of(pattern: re.Pattern[bytes], buffer: bytearray, place: int) -> int:
    """Return where what matches at a place ends."""
    found = pattern.match(buffer, place)
    return found.end() if found else place


def _key(buffer: bytearray, place: int) -> bytes:
    """Return the key of the value that begins at a place."""
    key = _KEY.search(bytes(buffer[max(0, place - _LONGEST_KEY) : place]))
    return key[1] if key else b""
