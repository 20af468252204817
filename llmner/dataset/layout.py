"""Where the parts of a data set lie. Every path is made here and nowhere else.

Invariant: a layout is a plain value; making one touches no storage.
"""

from dataclasses import dataclass

from llmner.storage import absolute_uri, join


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a data set lie.

    Attributes:
        uri: Absolute path or URI of the data set.
    """

    uri: str

    @classmethod
    def at(cls, uri: str) -> "Layout":
        """Return the layout of the data set at a path or URI; a relative path is made absolute."""
        return cls(absolute_uri(uri))

    @property
    def name(self) -> str:
        """The last part of its URI."""
        return self.uri.rpartition("/")[2]

    @property
    def description(self) -> str:
        """The file that says what the data set is made with."""
        return join(self.uri, "dataset.json")

    @property
    def commits(self) -> str:
        """The folder of the manifests."""
        return join(self.uri, "commits")

    def manifest(self, commit: int) -> str:
        """Return the manifest of a commit. Manifests sort by name as they do by number."""
        return join(self.commits, f"{commit:08d}.json")

    @property
    def ledger(self) -> str:
        """The folder of the ledger, which follows from the batches."""
        return join(self.uri, "ledger")

    @property
    def published(self) -> str:
        """The folder of the publications, which follow from the batches."""
        return join(self.uri, "published")

    def publication(self, commit: int) -> str:
        """Return the file that lists what is published of a commit. They sort by name as they do by number."""
        return join(self.published, f"{commit:08d}.json")

    @property
    def compactions(self) -> str:
        """The folder of the records of what was compacted."""
        return join(self.uri, "compactions")

    def compaction(self, number: int) -> str:
        """Return the record of a compaction. They sort by name as they do by number."""
        return join(self.compactions, f"{number:08d}.json")

    @property
    def batches(self) -> str:
        """The folder of the documents of all batches."""
        return join(self.uri, "batches")

    @property
    def links(self) -> str:
        """The folder of the links, which follow from the batches and from lexicons."""
        return join(self.uri, "links")

    @property
    def report(self) -> str:
        """The page about all of it."""
        return join(self.uri, "report.html")

    @property
    def nightly_locks(self) -> str:
        """The folder of the lock of nightly runs; no batch is called so."""
        return join(self.uri, ".locks", ".nightly")

    def batch(self, name: str) -> "BatchLayout":
        """Return where the parts of a batch lie; it need not exist yet."""
        return BatchLayout(self.uri, name)

    def republished(self, threshold: float) -> str:
        """Return the folder of all mentions at another threshold."""
        return join(self.uri, f"mentions-{threshold:g}")

    def mentions_at(self, threshold: float, batch: str) -> str:
        """Return the folder of a batch's mentions at another threshold than the data set's own."""
        return join(self.republished(threshold), f"batch={batch}")


@dataclass(frozen=True, slots=True)
class BatchLayout:
    """Where the parts of a batch lie.

    Attributes:
        dataset: URI of the data set.
        name: Name of the batch.
    """

    dataset: str
    name: str

    @property
    def documents(self) -> str:
        """The folder of the documents, with their mentions nested in them."""
        return join(Layout(self.dataset).batches, self.name, "documents")

    @property
    def mentions(self) -> str:
        """The folder of the flat mentions."""
        return join(self.dataset, "mentions", f"batch={self.name}")

    @property
    def report(self) -> str:
        """The page that shows the first documents."""
        return join(self.dataset, f"report-{self.name}.html")

    @property
    def checkpoints(self) -> str:
        """The folder in which unfinished runs keep what is done."""
        return join(self.dataset, ".checkpoints", self.name)

    def checkpoint(self, name: str) -> str:
        """Return the checkpoint of a run with certain settings and inputs."""
        return join(self.checkpoints, name)

    @property
    def locks(self) -> str:
        """The folder of the lock's files."""
        return join(self.dataset, ".locks", self.name)
