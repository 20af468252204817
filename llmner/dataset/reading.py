"""Reading all that is committed: ``open_committed("entities").mentions.to_table()``.

Invariant: what is open is a snapshot of the commits that were there when it was opened; it holds the files that
the newest compaction and the manifests behind it list, and no others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds

from llmner import storage
from llmner.dataset.compaction import Compaction, DataFile, read_compaction
from llmner.dataset.fingerprint import Description, describe
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.manifest import Manifest, read_manifests
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA


@dataclass(frozen=True)
class Dataset:
    """A data set as it was when it was opened.

    Attributes:
        layout: Where its parts lie.
        description: What it is made with.
        manifests: Its batches in the order of their commits.
        compaction: What holds the rows of the older ones; None where nothing was compacted.
    """

    layout: Layout
    description: Description
    manifests: tuple[Manifest, ...]
    compaction: Compaction | None

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self.layout.uri

    @property
    def oldest(self) -> int:
        """The oldest commit that can be opened."""
        return self.compaction.oldest if self.compaction is not None else 1

    def is_compacted(self, manifest: Manifest) -> bool:
        """Return whether rows of a batch that nobody needs any more may be gone."""
        return self.compaction is not None and manifest.commit <= self.compaction.oldest

    def files(self) -> Iterator[DataFile]:
        """Yield the files that hold its rows, oldest commit first."""
        compacted = 0
        if self.compaction is not None:
            compacted = self.compaction.oldest
            yield from self.compaction.files
        for m in self.manifests[compacted:]:
            for file in m.files:
                yield DataFile(batch=m.batch, name=file.name, rows=file.rows, commit=m.commit)

    @property
    def documents(self) -> ds.Dataset:
        """The documents, one a row, with their mentions nested in them; oldest commit first."""
        return self._parquet(DOCUMENT_SCHEMA, lambda batch: batch.documents)

    @property
    def mentions(self) -> ds.Dataset:
        """The mentions that are kept, one a row; oldest commit first."""
        return self._parquet(MENTION_SCHEMA, lambda batch: batch.mentions)

    def _parquet(self, schema: pa.Schema, folder: Callable[[BatchLayout], str]) -> ds.Dataset:
        fs, _ = storage.arrow_file_system(self.uri)
        uris = [storage.join(folder(self.layout.batch(f.batch)), f.name) for f in self.files()]
        paths = [storage.file_system(uri)[1] for uri in uris]
        return ds.FileSystemDataset.from_paths(paths, schema=schema, format=ds.ParquetFileFormat(), filesystem=fs)


def open_committed(uri: str) -> Dataset:
    """Open all that a data set has committed, older versions of documents too; see ``snapshot`` for the current view.

    Args:
        uri: Path or URI.

    Raises:
        DatasetError: There is no data set, a part of it is damaged, or it is of an unknown major version.
        AccessError, StorageError: See ``storage.access``.
    """
    layout = Layout.at(uri)
    description, compaction = describe(layout), read_compaction(layout)
    return Dataset(layout, description, tuple(read_manifests(layout)), compaction)
