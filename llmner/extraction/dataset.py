"""The data set: where its parts lie, what describes them, and how they are read.

Invariant: a batch exists for readers once its manifest does, and a manifest is written last; readers open the
files that manifests list and no others. All rows of a data set were made with one fingerprint.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from llmner import storage
from llmner.config import Fingerprint
from llmner.documents import DOCUMENT_SCHEMA, SCHEMA_VERSION
from llmner.errors import DatasetError, FingerprintMismatchError
from llmner.extraction.lock import BatchLock
from llmner.extraction.publish import MENTION_SCHEMA
from llmner.tagset import TagSet


class _Record(BaseModel):
    # Later minor versions may add keys; a reader of this version ignores them.
    model_config = ConfigDict(extra="ignore", frozen=True)


class Input(_Record):
    """An input file and what came of it.

    Attributes:
        uri: Where it was.
        size: Bytes.
        version: What tells this content from another: an ETag or the time of the last change.
        counts: Documents by status.
        error: Why the file, or the rest of it, could not be read; None for a sound one.
    """

    uri: str
    size: int
    version: str
    counts: dict[str, int] = {}
    error: str | None = None


class File(_Record):
    """A file of documents."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Manifest(_Record):
    """A committed batch.

    Attributes:
        batch: Its name.
        selection: Digest of what was read: the inputs' identities, format, field map, limit.
        fingerprint: Hash of what shaped the answers; its parts are in ``dataset.json``.
        inputs: In the order of their numbers in ``record``.
        files: In ``documents/``; each has its counterpart of the same name under ``mentions/``.
        counts: ``records`` read; of these ``superseded`` by a later record with the same key, the others
            ``documents`` = ``ok`` + ``empty`` + ``rejected`` + ``failed``; ``mentions`` kept in them.
        tag_sets: Names by language.
        started: When the run that committed it began, ISO 8601, UTC.
        finished: When it was committed.
        run_id: The run that committed it.
        versions: Of the software.
    """

    schema_version: str
    batch: str
    selection: str
    fingerprint: str
    inputs: list[Input]
    files: list[File]
    counts: dict[str, int]
    tag_sets: dict[str, list[str]]
    started: str
    finished: str
    run_id: str
    versions: dict[str, str]


class Batch:
    """Where the parts of one batch lie."""

    def __init__(self, dataset: str, name: str) -> None:
        self.name = name
        self.url = storage.join(dataset, "batches", name)
        self.documents = storage.join(self.url, "documents")
        self.manifest = storage.join(self.url, "manifest.json")
        self.mentions = storage.join(dataset, "mentions", f"batch={name}")
        self.checkpoints = storage.join(dataset, ".checkpoints", name)
        self._locks = storage.join(dataset, ".locks", name)

    def lock(self) -> BatchLock:
        """A lock on it."""
        return BatchLock(self._locks)

    def read_manifest(self) -> Manifest | None:
        """Its manifest; None as long as it is not committed.

        Raises:
            DatasetError: It is there but cannot be read, or is of an unknown major version.
        """
        content = storage.read_bytes(self.manifest)
        if content is None:
            return None
        try:
            manifest = Manifest.model_validate_json(content)
        except ValidationError as e:
            raise DatasetError(f"{self.manifest}: not a manifest: {e}") from e
        _check_version(manifest.schema_version, self.manifest)
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Commit it."""
        storage.write_whole(self.manifest, manifest.model_dump_json(indent=1).encode())


class Dataset:
    """A data set at a URL."""

    def __init__(self, url: str) -> None:
        self.url = storage.absolute_url(url)
        self.description = storage.join(self.url, "dataset.json")

    def batch(self, name: str) -> Batch:
        """A batch, which need not exist yet."""
        return Batch(self.url, name)

    def batches(self) -> list[Manifest]:
        """The committed batches, by name."""
        with storage.access(self.url):
            names = storage.list_folders(storage.join(self.url, "batches"))
        manifests = (self.batch(name).read_manifest() for name in names)
        return [m for m in manifests if m is not None]

    def describe(self) -> dict[str, Any]:
        """What ``dataset.json`` says.

        Raises:
            DatasetError: There is no data set, or one of an unknown major version.
        """
        content = storage.read_bytes(self.description)
        if content is None:
            raise DatasetError(f"{self.url}: no data set here", hint="it is made by `llmner extract`")
        description: dict[str, Any] = json.loads(content)
        _check_version(description["schema_version"], self.description)
        return description

    def ensure(self, fingerprint: Fingerprint, tag_sets: dict[str, tuple[TagSet, ...]]) -> None:
        """Describe a new data set, or check that this run's settings are those of an old one.

        Raises:
            FingerprintMismatchError: It was made with other settings; the message lists them.
        """
        described = {
            "name": self.url.rpartition("/")[2],
            "schema_version": SCHEMA_VERSION,
            "fingerprint": fingerprint.hash,
            "parts": fingerprint.parts,
            "models": {k: v for k, v in fingerprint.parts.items() if k.startswith(("engine.", "selector."))},
            "tag_sets": [
                {"name": t.name, "lang": t.lang, "digest": t.digest, "types": [vars(e) for e in t.types]}
                for sets in tag_sets.values()
                for t in sets
            ],
        }
        content = json.dumps(described, ensure_ascii=False, indent=1).encode()
        if storage.read_bytes(self.description) is None and storage.write_new(self.description, content):
            return
        existing = self.describe()
        if existing["fingerprint"] != fingerprint.hash:
            lines = "\n  ".join(fingerprint.difference(existing["parts"]))
            raise FingerprintMismatchError(
                f"{self.url} was made with other settings:\n  {lines}\n", hint="use the old settings or a new --output"
            )


def _check_version(version: str, where: str) -> None:
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise DatasetError(
            f"{where}: schema version {version}, this software reads {SCHEMA_VERSION.partition('.')[0]}.x",
            hint="use the version of llmner that wrote it",
        )


def read_documents(url: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Documents of all committed batches, a file at a time; mentions are nested."""
    return _read(url, "documents", DOCUMENT_SCHEMA, columns)


def read_mentions(url: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Mentions of all committed batches, a file at a time, one a row."""
    return _read(url, "mentions", MENTION_SCHEMA, columns)


def _read(url: str, part: str, schema: pa.Schema, columns: list[str] | None) -> Iterator[pa.Table]:
    dataset = Dataset(url)
    dataset.describe()
    for manifest in dataset.batches():
        folder = getattr(dataset.batch(manifest.batch), part)
        for file in manifest.files:
            fs, path = storage.arrow_file_system(storage.join(folder, file.name))
            table = pq.ParquetFile(path, filesystem=fs).read(columns=columns)
            _check_version(table.schema.metadata[b"llmner.schema_version"].decode(), path)
            yield table.select(columns if columns is not None else schema.names)
