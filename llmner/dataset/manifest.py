"""The manifests of a data set: one for each committed batch, numbered by commit.

Creating the file of the next number is the commit. Of several runs exactly one can create it, and it has read all
manifests before its own, so numbers have no gaps, become visible in order, and name each batch once.

Invariant: a manifest is never changed; of two versions of a document the one of the later commit is the newer.
"""

from pydantic import Field

from llmner import storage
from llmner.dataset.files import in_threads
from llmner.dataset.layout import Layout
from llmner.dataset.records import Part, Record, parse
from llmner.errors import DatasetError


class Input(Part):
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
    counts: dict[str, int] = Field(default_factory=dict)
    error: str | None = None


class File(Part):
    """A file of documents."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Draft(Record):
    """A finished batch that is not committed yet.

    Attributes:
        batch: Its name.
        inputs_digest: Digest of what was read: the inputs' identities, format, field map, limit.
        fingerprint: Hash of what shaped the answers; its parts are in ``dataset.json``.
        inputs: In the order of their numbers in ``record``.
        files: In ``documents/``; each has its counterpart of the same name under ``mentions/``.
        counts: ``records`` read; of these ``superseded`` by a later record with the same key, the others
            ``documents`` = ``ok`` + ``empty`` + ``rejected`` + ``failed``; ``mentions`` kept in them.
        reasons: Documents that were rejected, failed or not looked at, by the class of their error.
        tag_sets: Names by language.
        started: When the run that finished it began, ISO 8601, UTC.
        finished: When it was finished.
        run_id: The run that finished it.
        versions: Versions of the software by package.
    """

    batch: str
    inputs_digest: str
    fingerprint: str
    inputs: list[Input]
    files: list[File]
    counts: dict[str, int]
    reasons: dict[str, int] = Field(default_factory=dict)
    tag_sets: dict[str, list[str]]
    started: str
    finished: str
    run_id: str
    versions: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Names of its files."""
        return [f.name for f in self.files]


class Manifest(Draft):
    """A committed batch.

    Attributes:
        commit: Its number; the first commit is 1.
    """

    commit: int


def read_manifests(layout: Layout) -> list[Manifest]:
    """Read the manifests of a data set in the order of their commits.

    Raises:
        DatasetError: One is damaged, or is of an unknown major version.
    """
    names = storage.list_names(layout.commits, ".json")
    return in_threads(_read, [storage.join(layout.commits, name) for name in names])


def find_manifest(layout: Layout, batch: str) -> Manifest | None:
    """Return the manifest of a batch; None as long as it is not committed."""
    return _of_batch(read_manifests(layout), batch)


def commit(layout: Layout, draft: Draft) -> Manifest:
    """Commit a batch under the next number.

    Raises:
        DatasetError: The batch is committed already.
    """
    while True:
        manifests = read_manifests(layout)
        if other := _of_batch(manifests, draft.batch):
            raise DatasetError(
                f"batch {draft.batch} was committed by another run, {other.run_id}", hint="see what that run says"
            )
        manifest = Manifest(commit=manifests[-1].commit + 1 if manifests else 1, **dict(draft))
        content = manifest.model_dump_json(indent=1).encode()
        if storage.write_new(layout.manifest(manifest.commit), content):
            return manifest


def _of_batch(manifests: list[Manifest], batch: str) -> Manifest | None:
    return next((m for m in manifests if m.batch == batch), None)


def _read(uri: str) -> Manifest:
    content = storage.read_bytes(uri)
    if content is None:
        raise DatasetError(f"{uri}: the manifest is gone", hint="restore it, or extract into a new --output")
    return parse(Manifest, content, uri)
