"""Records of named fields as documents: what JSON lines and Parquet have in common.

Invariant: a record gives one document, or one rejected document whose error says which field is wrong; the text is
the field's own, untouched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from llmner.documents import Document
from llmner.errors import ConfigError, InputError, MalformedRecordError
from llmner.sources.texts import Lang, join_text, language_of

_INT32 = 2**31


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
        return list(dict.fromkeys(getattr(self, f.name) or f.name for f in fields(self)))


DEFAULT_FIELDS = FieldMap()


def field_map(names: Mapping[str, str]) -> FieldMap:
    """The field map that a configuration gives: our field to theirs.

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
        max_text: Code points above which a document is rejected.
    """

    source: str
    source_file: str
    names: FieldMap
    max_text: int

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
            version = _integer(record.get(names.version or "version")) or 1
            title = _text(record.get(names.title or "title"), names.title or "title", place)
            body = _text(_required(record, names.text, place), names.text, place)
            text = join_text(title, body, max_text=self.max_text, place=place)
        except InputError as e:
            return self.rejected(number, e, identifier=identifier, version=version)
        lang = _language(record.get(names.lang or "lang"))
        return Document(
            self.source,
            identifier,
            self.source_file,
            text,
            version=version,
            title=title,
            lang=lang or language_of(text),
            year=_integer(record.get(names.year or "year")),
        )

    def rejected(self, number: int, error: InputError, *, identifier: str | None = None, version: int = 1) -> Document:
        """The document that stands for a record that cannot be read."""
        identifier = identifier or f"{self.source_file.rpartition('/')[2]}:{number}"
        return Document(self.source, identifier, self.source_file, "", version=version, error=error)


def _required(record: Mapping[str, Any], name: str, place: str) -> Any:
    if (value := record.get(name)) is None:
        what = "is null" if name in record else "is missing"
        there = ", ".join(sorted(map(str, record))[:20])
        raise MalformedRecordError(f"{place}: field {name!r} {what}", hint=f"it has: {there}; map yours with fields")
    return value


def _identifier(value: Any, name: str, place: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise MalformedRecordError(f"{place}: field {name!r} must be a text or a whole number, and not empty")
    return _text(value, name, place)


def _text(value: Any, name: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedRecordError(f"{place}: field {name!r} must be a text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as e:
        message = f"{place}: field {name!r} has half a surrogate pair at character {e.start:,}"
        raise MalformedRecordError(message, hint="write it as UTF-8 without escapes") from e
    return value


def _integer(value: Any) -> int | None:
    """A whole number, also one in digits; None for anything else, for it is no reason to lose a document."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value.strip()) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32 else None


def _language(value: Any) -> Lang | None:
    tag = value.strip().lower() if isinstance(value, str) else ""
    if tag.startswith("en"):
        return "en"
    return "zh" if tag.startswith(("zh", "chi")) else None
