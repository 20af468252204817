"""The JSON files of a data set as validated records.

Invariant: a record is frozen, says its schema version, and is refused by name where it is damaged or of an unknown
major version. Keys that a later minor version adds are ignored.
"""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from llmner.dataset.schema import check_version
from llmner.errors import DatasetError


class Part(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Record(Part):
    """What a file holds.

    Attributes:
        schema_version: See ``schema``.
    """

    schema_version: str


R = TypeVar("R", bound=Record)


def parse(kind: type[R], content: bytes, uri: str) -> R:
    """Parse what a file holds.

    Raises:
        DatasetError: It is damaged, or of an unknown major version.
    """
    try:
        check_version(Record.model_validate_json(content).schema_version, uri)
        return kind.model_validate_json(content)
    except ValidationError as e:
        raise DatasetError(f"{uri}: not a {kind.__name__.lower()}: {e}", hint="restore the file") from e
