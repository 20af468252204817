"""Records of named fields as documents: what JSON, tables and Parquet have in common.

Invariant: a record gives one document, or one rejected document whose error says which field is wrong. Values count by
their meaning: a whole decimal is a whole number, UTF-8 bytes are text, NaN is missing. The text is the field's own,
untouched.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from llmner.documents import Document
from llmner.errors import ConfigError, InputError, MalformedRecordError
from llmner.sources.limits import Limits
from llmner.sources.texts import Piece, compose

_INT32 = 2**31
_IDENTIFIERS = ("pmid", "pmcid", "doi")  # fields that name the work elsewhere; read where they are there


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The name that each field of ours has in the records; None for our own name, in those records that have it.

    With a title the text of the document is title, one space, text. Without a language it goes by script.
    """

    id: str = "id"
    text: str = "text"
    title: str | None = None
    lang: str | None = None
    year: str | None = None
    version: str | None = None

    @property
    def required(self) -> list[str]:
        """The names that a table must have as columns, each once."""
        names = (self.id, self.text, self.title, self.lang, self.year, self.version)
        return list(dict.fromkeys(n for n in names if n is not None))

    @property
    def names(self) -> list[str]:
        """The names of all fields that are read where they are there, each once."""
        return list(dict.fromkeys([*(getattr(self, f.name) or f.name for f in fields(self)), *_IDENTIFIERS]))


DEFAULT_FIELDS = FieldMap()


def field_map(names: Mapping[str, str]) -> FieldMap:
    """Make the field map that a configuration gives: our field to theirs.

    Raises:
        ConfigError: A field that is none of ours.
    """
    known = [f.name for f in fields(FieldMap)]
    if unknown := sorted(names.keys() - set(known)):
        raise ConfigError(f"fields: unknown: {', '.join(unknown)}", hint=f"our fields: {', '.join(known)}")
    return FieldMap(**names)


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Makes documents of the records of one file.

    Attributes:
        source: Kind of source.
        source_file: URL of the file.
        names: Which field is which.
        limits: See ``Limits``.
    """

    source: str
    source_file: str
    names: FieldMap
    limits: Limits

    def read(self, number: int, place: str, record: Mapping[str, Any]) -> Document:
        """Make the document of a record, rejected if a field is missing or unusable.

        Args:
            number: The record's number in the file, from 1.
            place: Where it is, for messages.
            record: Its fields.
        """
        names = self.names
        identifier, version = None, 1
        try:
            identifier = _identifier(_required(record, names.id, place), names.id, place)
            version = _integer(_value(record, names.version or "version")) or 1
            title = _title(_value(record, names.title or "title"))
            body = _text(_required(record, names.text, place), names.text, place)
            lang = _value(record, names.lang or "lang")
            tag = lang if isinstance(lang, str) else None
            return compose(
                self.source,
                identifier,
                self.source_file,
                [Piece(title, "title", tag=tag), Piece(body, "text", tag=tag)],
                place=place,
                limits=self.limits,
                version=version,
                year=_year(_value(record, names.year or "year")),
                ids={name: str(value) for name in _IDENTIFIERS if (value := _value(record, name))},
            )
        except InputError as e:
            return self.rejected(number, e, identifier=identifier, version=version)

    def rejected(self, number: int, error: InputError, *, identifier: str | None = None, version: int = 1) -> Document:
        """Make the document that stands for a record that cannot be read."""
        identifier = identifier or f"{self.source_file}:{number}"
        return Document(self.source, identifier, self.source_file, "", version=version, error=error)


def column_of(name: str, names: list[str]) -> str | None:
    """Find the name that a field has among those there are, in other letters' case if in no other way."""
    if name in names:
        return name
    same = [n for n in names if n.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _value(record: Mapping[str, Any], name: str) -> Any:
    """Return a value by its meaning: bytes as text, whole decimals and floats as whole numbers, NaN as None."""
    key = name if name in record else column_of(name, list(map(str, record)))
    value = None if key is None else record.get(key)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) else value
    return value


def _required(record: Mapping[str, Any], name: str, place: str) -> Any:
    if (value := _value(record, name)) is None:
        there = list(map(str, record))
        what = "is missing" if column_of(name, there) is None else "is null"
        hint = f"it has: {', '.join(sorted(there)[:20])}; map yours with fields"
        raise MalformedRecordError(f"{place}: field {name!r} {what}", hint=hint)
    return value


def _identifier(value: Any, name: str, place: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise MalformedRecordError(f"{place}: field {name!r} must be a text or a whole number, and not empty")
    return _text(value, name, place)


def _title(value: Any) -> str:
    """Return a title; empty where there is none that can be read, for it is no reason to lose a text."""
    try:
        return "" if value is None else _text(value, "title", "")
    except MalformedRecordError:
        return ""


def _text(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str):
        what = "bytes that are not UTF-8" if isinstance(value, bytes) else type(value).__name__
        raise MalformedRecordError(f"{place}: field {name!r} must be a text, got {what}")
    try:
        value.encode()
    except UnicodeEncodeError as e:
        message = f"{place}: field {name!r} has half a surrogate pair at character {e.start:,}"
        raise MalformedRecordError(message, hint="write it as UTF-8 without escapes") from e
    return value


def _year(value: Any) -> int | None:
    """Return the year of a date, or a whole number."""
    if isinstance(value, date):
        return value.year
    if isinstance(value, str) and len(value) >= 8 and value[:4].isdecimal() and not value[4].isalnum():
        return int(value[:4])  # 2020-01-02
    return _integer(value)


def _integer(value: Any) -> int | None:
    """Return a whole number, also one in digits; None for anything else, for it is no reason to lose a document."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value.strip()) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32 else None
