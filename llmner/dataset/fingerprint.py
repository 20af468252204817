"""What a data set is made with: the fingerprint of everything that shapes its answers, and ``dataset.json``.

Invariant: all rows of a data set were made with one fingerprint; a run with another one is refused, and the message
says what differs.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmner import storage
from llmner.dataset.layout import Layout
from llmner.dataset.records import Record, parse
from llmner.dataset.schema import SCHEMA_VERSION
from llmner.errors import DatasetError, FingerprintMismatchError


@dataclass(frozen=True)
class Fingerprint:
    """Everything that shapes the answers, as readable parts and as one hash."""

    parts: Mapping[str, str]

    @property
    def hash(self) -> str:
        """Sixteen hex digits."""
        content = json.dumps(dict(self.parts), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def difference(self, other: Mapping[str, str]) -> list[str]:
        """Return a line for each part that differs from the other's: ``part: theirs -> ours``."""
        keys = sorted(self.parts.keys() | other.keys())
        changed = [k for k in keys if self.parts.get(k) != other.get(k)]
        return [f"{k}: {other.get(k, 'nothing')} -> {self.parts.get(k, 'nothing')}" for k in changed]


class Description(Record):
    """What ``dataset.json`` says.

    Attributes:
        name: Name of the data set.
        fingerprint: Hash of the parts.
        parts: Parts of the fingerprint.
        tag_sets: The tag sets with the definitions of their types.
    """

    name: str
    fingerprint: str
    parts: dict[str, str]
    tag_sets: list[dict[str, Any]]


def describe(layout: Layout) -> Description:
    """Read what a data set is made with.

    Raises:
        DatasetError: There is no data set, its description is damaged, or it is of an unknown major version.
    """
    description = _read(layout)
    if description is None:
        raise DatasetError(f"{layout.uri}: no data set here", hint="`llmner extract` makes one")
    return description


def ensure(layout: Layout, fingerprint: Fingerprint, tag_sets: list[dict[str, Any]]) -> None:
    """Describe a new data set, or check that an old one is made with the same settings.

    Raises:
        FingerprintMismatchError: It was made with other settings; the message lists them.
        DatasetError: See ``describe``.
    """
    new = Description(
        name=layout.name,
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint.hash,
        parts=dict(fingerprint.parts),
        tag_sets=tag_sets,
    )
    existing = _read(layout)
    if existing is None:
        if storage.write_new(layout.description, new.model_dump_json(indent=1).encode()):
            return
        existing = describe(layout)  # another run was faster
    if existing.fingerprint != new.fingerprint:
        lines = "\n  ".join(fingerprint.difference(existing.parts))
        raise FingerprintMismatchError(
            f"{layout.uri} was made with other settings:\n  {lines}\n", hint="use the old settings or a new --output"
        )


def _read(layout: Layout) -> Description | None:
    content = storage.read_bytes(layout.description)
    return None if content is None else parse(Description, content, layout.description)
