"""``llmner snapshots``: the commits of a data set that readers can open, each a snapshot."""

from rich.console import Console
from rich.table import Table

from llmner.dataset.compaction import read_compaction
from llmner.dataset.fingerprint import describe
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import read_manifests
from llmner.dataset.schema import STATUSES


def show_snapshots(uri: str, console: Console) -> None:
    """List the commits that can be opened, oldest first.

    Raises:
        DatasetError: There is no data set, or a manifest is damaged.
    """
    layout = Layout.at(uri)
    describe(layout)
    compaction = read_compaction(layout)
    oldest = compaction.oldest if compaction else 1
    table = Table(title="Snapshots", title_justify="left")
    for heading in ("commit", "finished", "batch", *STATUSES, "mentions"):
        table.add_column(heading, justify="left" if heading in ("finished", "batch") else "right", overflow="fold")
    for m in read_manifests(layout)[oldest - 1 :]:
        counts = (f"{m.counts[name]:,}" if m.counts.get(name) else "" for name in (*STATUSES, "mentions"))
        batch = f"{m.batch}: replaces what is older than {m.replaces}" if m.replaces else m.batch
        table.add_row(str(m.commit), m.finished, batch, *counts)
    console.print(table)
