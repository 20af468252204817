"""What a data set was compacted to: which files hold the rows of its older commits.

Invariant: a compaction holds what the snapshots from its oldest on need of the commits up to that one, and says where
each row is from; so those snapshots are the same with it and without. The newest one counts.
"""

from pydantic import Field

from llmner import storage
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.manifest import Manifest
from llmner.dataset.records import Part, Record, parse
from llmner.errors import DatasetError

_MERGED = "_compacted-"  # no batch is called so


class DataFile(Part):
    """A file of documents, with its counterpart among the mentions.

    Attributes:
        batch: The batch in whose folders it lies; one of merged files lies in those of its compaction.
        name: Its name, the same in ``documents/``, ``mentions/`` and ``links/``.
        rows: Documents in it.
        commit: The commit that all its rows are from; None where each row says its own, in a column ``commit``.
    """

    batch: str
    name: str
    rows: int
    commit: int | None


class Compaction(Record):
    """What holds the rows of all commits up to a certain one.

    Attributes:
        number: Its number; the first compaction is 1.
        oldest: That commit, the oldest snapshot that can still be opened.
        files: The files; no doc_key stands twice in one of them.
    """

    number: int = Field(ge=1)
    oldest: int = Field(ge=1)
    files: list[DataFile]

    def left(self, manifest: Manifest) -> Manifest:
        """Return the manifest of a commit that was compacted with those of its files that are left."""
        names = {f.name for f in self.files if f.batch == manifest.batch}
        return manifest.model_copy(update={"files": [f for f in manifest.files if f.name in names]})


def read_compaction(layout: Layout) -> Compaction | None:
    """Return the newest compaction of a data set; None where there is none.

    Read it before the manifests: a compaction never holds commits that come later.

    Raises:
        DatasetError: It is damaged, or of an unknown major version.
    """
    names = storage.list_names(layout.compactions, ".json")
    if not names:
        return None
    uri = storage.join(layout.compactions, names[-1])
    content = storage.read_bytes(uri)
    if content is None:
        raise DatasetError(f"{uri}: the compaction is gone", hint="open it again")
    return parse(Compaction, content, uri)


def merged_files(layout: Layout, number: int) -> BatchLayout:
    """Return where a compaction's merged files lie."""
    return layout.batch(f"{_MERGED}{number:08d}")


def merged_batches(layout: Layout) -> list[str]:
    """Return the names under which merged files lie, of whatever compaction."""
    return [name for name in storage.list_folders(layout.batches) if name.startswith(_MERGED)]
