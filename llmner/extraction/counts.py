"""How far a run is: records read, documents through, and the look at both that people see.

Invariant: what the batch's correctness rests on (records read by task) is set, not added, so a repeated task changes
nothing. What is counted for people may be a little off after a lost worker.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A look at a running batch.

    Attributes:
        documents: Documents that the generator's workers are through with.
        mentions: Mentions found in them.
        failed: Documents among them that failed.
        source_tokens: Tokens of their sentences, once a tag set.
        records: Records read so far.
        complete: Whether all inputs have been read, so that ``records`` is the total.
        resumed: Documents that were done before this start.
        seconds: Since the first documents reached the generator; 0 before it.
        deaths: Times that a worker died at its work.
    """

    documents: int = 0
    mentions: int = 0
    failed: int = 0
    source_tokens: int = 0
    records: int = 0
    complete: bool = False
    resumed: int = 0
    seconds: float = 0.0
    deaths: int = 0

    def figures(self) -> dict[str, float]:
        """Return what a manifest keeps of it."""
        return {
            "documents": self.documents,
            "source_tokens": self.source_tokens,
            "seconds": round(self.seconds, 1),
            "deaths": self.deaths,
        }


class Records:
    """Counts the records that read tasks have read."""

    def __init__(self) -> None:
        self._tasks = 0
        self._read: dict[int, int] = {}  # records by read task, so far
        self._finished: set[int] = set()

    def read(self, task: int, tasks: int, records: int, finished: bool) -> None:
        """Note how far one of so many read tasks has come."""
        self._tasks = tasks
        self._read[task] = records
        if finished:
            self._finished.add(task)

    @property
    def total(self) -> int:
        """Records read so far."""
        return sum(self._read.values())

    @property
    def complete(self) -> bool:
        """Whether every task has come to its end."""
        return 0 < self._tasks == len(self._finished)


class Tally:
    """Counts the documents that the generator's workers are through with, and the time they take."""

    def __init__(self) -> None:
        self.documents = self.mentions = self.failed = self.source_tokens = 0
        self._started: float | None = None

    def start(self) -> None:
        """Start the clock, if this is the first call."""
        self._started = self._started or time.monotonic()

    def add(self, documents: int, mentions: int, failed: int, source_tokens: int) -> None:
        """Count documents that are through."""
        self.documents += documents
        self.mentions += mentions
        self.failed += failed
        self.source_tokens += source_tokens

    @property
    def seconds(self) -> float:
        """Since the start; 0 before it."""
        return time.monotonic() - self._started if self._started else 0.0
