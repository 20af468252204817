"""The links of a data set's mentions to concepts: where they lie and what a row of them says.

Invariant: each file of mentions has one file of links of the same name in the folder of the lexicons' digest. It
depends on nothing but the two and the documents' texts, so linking again gives the same files.
"""

import json
from typing import Any

import pyarrow as pa

from llmner import storage
from llmner.dataset.layout import Layout
from llmner.errors import DatasetError

LINK_SCHEMA = pa.schema(
    [
        pa.field("mention_id", pa.string(), nullable=False),
        pa.field("doc_key", pa.int64(), nullable=False),
        pa.field("concept_id", pa.string(), nullable=False),
        pa.field("concept_name", pa.string(), nullable=False),  # its preferred name
        pa.field("concept_type", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),  # among the mention's candidates, from 1
        pa.field("candidates", pa.int32(), nullable=False),  # above 1 the mention is ambiguous
        pa.field("score", pa.float32(), nullable=False),  # follows from the fields below and from candidates
        pa.field("step", pa.string(), nullable=False),  # exact | lower | punctuation | plural | near
        pa.field("name", pa.string(), nullable=False),  # the name that was met
        pa.field("kind", pa.string(), nullable=False),  # preferred | synonym | related | former
        pa.field("source", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("long_form", pa.string()),  # what the document says the mention stands for, where that was looked up
        pa.field("retired_id", pa.string()),  # the identifier of that name, where another has taken its place
    ],
    metadata={"llmner.links": "1"},
)


class Links:
    """The links made with certain lexicons."""

    def __init__(self, dataset: str, digest: str) -> None:
        self.digest = digest
        self.uri = storage.join(Layout(dataset).links, digest)
        self._description = storage.join(self.uri, "lexicons.json")
        self._current = _current(dataset)

    def folder(self, batch: str) -> str:
        """Return the folder for a batch's files."""
        return storage.join(self.uri, f"batch={batch}")

    def file(self, batch: str, name: str) -> str:
        """Return the file of links of a file of mentions."""
        return storage.join(self.folder(batch), name)

    def describe(self, lexicons: list[dict[str, Any]]) -> None:
        """Note what the links are made with."""
        storage.write_whole(
            self._description, json.dumps({"lexicons": lexicons}, ensure_ascii=False, indent=1).encode()
        )

    def make_current(self) -> None:
        """Let readers that name no digest read these."""
        storage.write_whole(self._current, json.dumps({"digest": self.digest}).encode())


def current_links(dataset: str) -> Links | None:
    """Return the links that readers take by default; None where there are none yet.

    Raises:
        DatasetError: The file that names them cannot be read.
    """
    content = storage.read_bytes(_current(dataset))
    if content is None:
        return None
    try:
        return Links(dataset, json.loads(content)["digest"])
    except (ValueError, KeyError, TypeError) as e:
        raise DatasetError(f"{_current(dataset)}: cannot be read: {e!r}", hint="run `llmner link` again") from e


def _current(dataset: str) -> str:
    return storage.join(Layout(dataset).links, "current.json")
