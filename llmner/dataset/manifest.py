"""The manifests of a data set: one for each committed batch, numbered by commit.

Creating the file of the next number is the commit. Of several runs exactly one can create it, and it has read all
manifests before its own, so numbers have no gaps, become visible in order, and name each batch once.

Invariant: a manifest is never changed. Of two rows of a document the one of the later commit is the newer, but for
files of a sequence of updates that came late: see ``oldest_first``.
"""

from collections.abc import Sequence
from functools import lru_cache

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
        version: What tells this content from another: an ETag, a digest, or the time of the last change.
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
        inputs_digest: Digest of what was read: the inputs' identities and formats, and ``reading``.
        reading: Digest of how they were read: field map, limit.
        fingerprint: Hash of what shaped the answers; its parts are in ``dataset.json``.
        inputs: In the order of their numbers in ``record``.
        files: In ``documents/``; each has its counterpart of the same name under ``mentions/``.
        counts: ``records`` read; of these ``superseded`` by a later record with the same key, the others
            ``documents`` = the sum over ``STATUSES``; ``mentions`` kept in them.
        reasons: Documents that were rejected, failed or not looked at, by the class of their error.
        clashes: Documents that gave way to a later one of the batch with the same identifier and another text, although
            their source does not revise documents.
        clashing: Identifiers of some of them, with their files.
        tag_sets: Names by language.
        started: When the run that finished it began, ISO 8601, UTC.
        finished: When it was finished.
        run_id: The run that finished it.
        versions: Versions of the software by package.
        figures: Of the run that finished it: ``seconds`` from the first documents that its model got to the end,
            ``documents``, ``sentences``, ``mentions`` and ``source_tokens`` that went through the model, ``deaths`` of
            workers, ``tag_seconds`` and ``select_seconds`` that calls of the models took, of all workers together, and
            ``cost_per_million_tokens`` where a price was given.
        place: Name of its file in a sequence of updates, which tells what is newer; None for a batch that is newer than
            all that were committed before it.
        replaces: Place of the first batch of a new baseline that is complete with this commit: what is older than that
            batch counts no more. None for all other commits.
        retries: Number of the commit whose failed documents the batch tries again; None for all other commits.
    """

    batch: str
    inputs_digest: str
    reading: str = ""
    fingerprint: str
    inputs: list[Input]
    files: list[File]
    counts: dict[str, int]
    reasons: dict[str, int] = Field(default_factory=dict)
    clashes: int = 0
    clashing: list[str] = Field(default_factory=list)
    tag_sets: dict[str, list[str]]
    started: str
    finished: str
    run_id: str
    versions: dict[str, str]
    figures: dict[str, float] = Field(default_factory=dict)
    place: str | None = None
    replaces: str | None = None
    retries: int | None = None

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
    listed = storage.list_revisions(layout.commits).items()
    return in_threads(_read, [(storage.join(layout.commits, n), seen) for n, seen in listed if n.endswith(".json")])


def oldest_first(manifests: Sequence[Manifest]) -> list[Manifest]:
    """Sort manifests by the age of their content.

    That is the order of their commits; but a file of a sequence of updates that came late stands before the first one
    whose name is greater, and a batch that was tried again after its first try.
    """
    result: list[Manifest] = []
    for manifest in manifests:
        later = (i for i, m in enumerate(result) if _follows(m, manifest))
        tries = [i + 1 for i, m in enumerate(result) if manifest.retries in (m.commit, m.retries)]
        result.insert(tries[-1] if manifest.retries else next(later, len(result)), manifest)
    return result


def count_replaced(manifests: Sequence[Manifest]) -> int:
    """Return how many of some manifests, given oldest first, the newest complete baseline has replaced."""
    baseline = max((m.replaces for m in manifests if m.replaces is not None), default=None)
    if baseline is None:
        return 0
    return next(i for i, m in enumerate(manifests) if m.place is not None and m.place >= baseline)


def _follows(other: Manifest, manifest: Manifest) -> bool:
    return other.place is not None and manifest.place is not None and other.place > manifest.place


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


def _read(uri_and_revision: tuple[str, str]) -> Manifest:
    return _read_once(*uri_and_revision)


@lru_cache(maxsize=1 << 14)
def _read_once(uri: str, revision: str) -> Manifest:
    """Read a manifest, once in a process; those of another data set in the same place differ in their revisions."""
    content = storage.read_bytes(uri)
    if content is None:
        raise DatasetError(f"{uri}: the manifest is gone", hint="restore it, or extract into a new --output")
    return parse(Manifest, content, uri)
