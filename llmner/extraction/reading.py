"""Reading a batch's inputs as one numbered sequence of records.

Invariant: the number of a record is its place, ``input number << 32 | number in the input``, whatever task reads
it and in whatever order; it tells records apart even where their keys are the same, so Ray's checkpoint goes by it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from llmner.errors import LlmnerError
from llmner.extraction.commit import RECORD_BITS

Read = Callable[[], Iterable[pa.Table]]


class NumberedDatasource(Datasource):
    """A source whose rows also have ``record``, and whose progress a monitor is told.

    Args:
        source: The source; it has one task for each input, in their order.
        limit: Only so many records, in the order of the inputs; a single task then reads them.
        monitor: Handle of the run's ``Monitor`` actor.
    """

    def __init__(self, source: Datasource, limit: int | None, monitor: Any) -> None:
        super().__init__()
        reads = list(enumerate(task.read_fn for task in source.get_read_tasks(1)))
        self._tasks: list[Sequence[tuple[int, Read]]] = [reads] if limit is not None else [[read] for read in reads]
        self._limit = limit
        self._monitor = monitor

    @property
    def tasks(self) -> int:
        """How many read tasks there are."""
        return len(self._tasks)

    def get_name(self) -> str:
        """Name of the reading stage."""
        return "Records"

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown until it is read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """One task an input, or one for all."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(_Numbered(reads, self._limit, self._monitor, i, self.tasks), unknown)
            for i, reads in enumerate(self._tasks)
        ]


class _Numbered:
    def __init__(
        self, reads: Sequence[tuple[int, Read]], limit: int | None, monitor: Any, task: int, tasks: int
    ) -> None:
        self._reads = reads
        self._limit = limit
        self._monitor = monitor
        self._task = task
        self._tasks = tasks

    def __call__(self) -> Iterator[pa.Table]:
        records = 0
        try:
            for table in self._limited():
                records += table.num_rows
                yield table
                self._report(records, finished=False)
        except LlmnerError as e:
            if not e.retryable:  # Ray tries such a task again
                ray.get(self._monitor.fail.remote(e))
            raise
        ray.get(self._report(records, finished=True))

    def _limited(self) -> Iterator[pa.Table]:
        left = self._limit
        for table in self._numbered():
            if left is None:
                yield table
            else:
                yield table.slice(0, left)
                left -= min(left, table.num_rows)
                if not left:
                    return

    def _numbered(self) -> Iterator[pa.Table]:
        for number, read in self._reads:
            first = number << RECORD_BITS
            for table in read():
                record = pa.array(np.arange(first, first + table.num_rows))
                first += table.num_rows
                yield table.append_column(pa.field("record", pa.int64(), nullable=False), record)

    def _report(self, records: int, *, finished: bool) -> Any:
        return self._monitor.read.remote(self._task, self._tasks, records, finished)
