"""Yields this folder's graph to BioCypher: nodes and edges as the tuples it takes.

>>> biocypher = BioCypher(
...     biocypher_config_path="biocypher_config.yaml", schema_config_path="schema_config.yaml"
... )
>>> biocypher.write_nodes(Adapter().nodes())
>>> biocypher.write_edges(Adapter().edges())
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

NODES = ("documents", "concepts")
EDGES = ("mentions", "co_occurs", "nested_in")


class Adapter:
    """The graph of a folder, a batch of rows in memory at a time."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self.folder = folder

    def nodes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield identifier, label and properties."""
        for label in NODES:
            for row in self._rows(label):
                yield row.pop("id"), label, row

    def edges(self) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
        """Yield identifier, ends, label and properties."""
        for label in EDGES:
            for row in self._rows(label):
                subject, object = row.pop("subject"), row.pop("object")
                yield f"{subject}-{label}-{object}", subject, object, label, row

    def _rows(self, label: str) -> Iterator[dict[str, Any]]:
        for batch in pq.ParquetFile(self.folder / f"{label}.parquet").iter_batches():
            yield from batch.to_pylist()
