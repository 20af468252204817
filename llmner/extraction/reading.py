"""Reading a batch's inputs as one numbered sequence of records.

Invariant: the number of a record is its place, ``input number << 32 | number in the input``, whatever task reads
it and in whatever order; it tells records apart even where their keys are the same, so Ray's checkpoint goes by it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from llmner.extraction.commit import RECORD_BITS

Read = Callable[[], Iterable[pa.Table]]


class NumberedDatasource(Datasource):
    """A source whose rows also have ``record``, and whose progress a monitor is told.

    Args:
        source: The source; each of its files is read by one task.
        numbers: Number of each input by its URL.
        limit: Only so many records, in the order of the source's tasks.
        monitor: Handle of the run's ``Monitor`` actor.
    """

    def __init__(self, source: Datasource, numbers: Mapping[str, int], limit: int | None, monitor: Any) -> None:
        super().__init__()
        self._source = source
        self._numbers = numbers
        self._limit = limit
        self._monitor = monitor

    def get_name(self) -> str:
        """Name of the reading stage."""
        return "Records"

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes in memory, as far as the source knows."""
        return self._source.estimate_inmemory_data_size()

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """The source's tasks; with a limit a single one."""
        tasks = self._source.get_read_tasks(parallelism)
        reads: list[Read] = [t.read_fn for t in tasks]
        if self._limit is not None:
            reads = [_Limited(reads, self._limit)] if reads else []
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(_Numbered(read, self._numbers, self._monitor, i, len(reads)), unknown)
            for i, read in enumerate(reads)
        ]


class _Limited:
    def __init__(self, reads: list[Read], limit: int) -> None:
        self._reads = reads
        self._limit = limit

    def __call__(self) -> Iterator[pa.Table]:
        left = self._limit
        for table in chain.from_iterable(read() for read in self._reads):
            yield table.slice(0, left)
            left -= min(left, table.num_rows)
            if not left:
                return


class _Numbered:
    def __init__(self, read: Read, numbers: Mapping[str, int], monitor: Any, task: int, tasks: int) -> None:
        self._read = read
        self._numbers = numbers
        self._monitor = monitor
        self._task = task
        self._tasks = tasks

    def __call__(self) -> Iterator[pa.Table]:
        seen: Counter[str] = Counter()
        for table in self._read():
            record = np.empty(table.num_rows, np.int64)
            for i, file in enumerate(table["source_file"].to_pylist()):
                record[i] = self._numbers[file] << RECORD_BITS | seen[file]
                seen[file] += 1
            yield table.append_column(pa.field("record", pa.int64(), nullable=False), pa.array(record))
            self._report(seen, finished=False)
        ray.get(self._report(seen, finished=True))

    def _report(self, seen: Counter[str], *, finished: bool) -> Any:
        return self._monitor.read.remote(self._task, self._tasks, seen.total(), finished)
