"""Reading a batch's inputs as one numbered sequence of records.

Invariant: the number of a record is its place, ``input number << 32 | number in the input``, whatever task reads
it and in whatever order; it tells records apart even where their keys are the same, so Ray's checkpoint goes by it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from llmner.dataset.schema import RECORD_BITS
from llmner.errors import LlmnerError
from llmner.extraction.counts import Records
from llmner.extraction.mailbox import Mailbox

TASK_BYTES = 4_000_000  # of small inputs that share a task
TASK_INPUTS = 64  # that share one at most: they are read again together when storage fails in passing

Read = Callable[[], Iterable[pa.Table]]


class NumberedDatasource(Datasource):
    """A source whose rows also have ``record``, and which tells how far it is read.

    Args:
        source: The source; it has one task for each input, in their order.
        sizes: Bytes of each input, as stored. Small ones share a task, for a task costs more than a small file.
        limit: Only so many records, in the order of the inputs; a single task then reads them.
        counts: Where the records read are counted.
        mailbox: Where an error goes that ends the run.
    """

    def __init__(
        self, source: Datasource, sizes: Sequence[int], limit: int | None, counts: Records, mailbox: Mailbox
    ) -> None:
        super().__init__()
        reads = list(enumerate(task.read_fn for task in source.get_read_tasks(1)))
        self._tasks: list[Sequence[tuple[int, Read]]] = [reads] if limit is not None else list(_shared(reads, sizes))
        self._limit = limit
        self._counts = counts
        self._mailbox = mailbox

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
        """One task for a large input or several small ones, or one for all."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(
                _Numbered(reads, self._limit, partial(self._counts.read, task, self.tasks), self._mailbox), unknown
            )
            for task, reads in enumerate(self._tasks)
        ]


def _shared(reads: Sequence[tuple[int, Read]], sizes: Sequence[int]) -> Iterator[list[tuple[int, Read]]]:
    """Yield the reads of each task, in the order of the inputs: as many as are of ``TASK_BYTES``, but at least one."""
    task: list[tuple[int, Read]] = []
    size = 0
    for read, more in zip(reads, sizes, strict=True):
        if task and (size + more > TASK_BYTES or len(task) == TASK_INPUTS):
            yield task
            task, size = [], 0
        task.append(read)
        size += more
    if task:
        yield task


class _Numbered:
    """Reads what belongs to one task."""

    def __init__(
        self,
        reads: Sequence[tuple[int, Read]],
        limit: int | None,
        report: Callable[[int, bool], None],
        mailbox: Mailbox,
    ) -> None:
        self._reads = reads
        self._limit = limit
        self._report = report
        self._mailbox = mailbox

    def __call__(self) -> Iterator[pa.Table]:
        records = 0
        try:
            for table in self._limited():
                records += table.num_rows
                yield table
                self._report(records, False)
        except LlmnerError as e:
            if not e.retryable:  # Ray tries such a task again
                self._mailbox.leave(e)
            raise
        self._report(records, True)

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
