"""What is known about a running batch: records read, documents done, attempts that did not come back.

Invariant: it lives as long as its run and no longer. What it counts for people may be a little off after a
lost worker; what the batch's correctness rests on (records read by input) is set, not added, so a repeated
task changes nothing.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import ray

from llmner.errors import LlmnerError


@dataclass
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
        seconds: Since the first batch of documents was begun; 0 before it.
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


@dataclass
class Monitor:
    """The state of one run; the pipeline holds it in a Ray actor."""

    resumed: int = 0
    _tasks: int = 0
    _read: dict[int, int] = field(default_factory=dict)  # records by read task, so far
    _finished: set[int] = field(default_factory=set)  # read tasks that came to their end
    _attempts: dict[str, int] = field(default_factory=dict)  # begun and not ended, by batch or document
    _reason: dict[str, str] = field(default_factory=dict)
    _given_up: int = 0
    _error: LlmnerError | None = None
    _progress: Progress = field(default_factory=Progress)
    _started: float | None = None

    def read(self, task: int, tasks: int, records: int, finished: bool) -> None:
        """One of so many read tasks has come so far."""
        self._tasks = tasks
        self._read[task] = records
        if finished:
            self._finished.add(task)

    def begin(self, key: str) -> tuple[int, str]:
        """Begin work on a batch or a document; how often that was begun before in vain, and why it did not end."""
        self._started = self._started or time.monotonic()
        before = self._attempts.get(key, 0)
        self._attempts[key] = before + 1
        self._progress.deaths += before > 0 and " batch " in key  # a document's are its batch's, too
        return before, self._reason.get(key, "the worker process ended without a word")

    def explain(self, key: str, reason: str) -> None:
        """Leave word why the attempt under way is about to end its worker."""
        self._reason[key] = reason

    def end(self, key: str) -> None:
        """The attempt under way came to its end."""
        self._attempts.pop(key, None)
        self._reason.pop(key, None)
        self._given_up = 0

    def give_up(self, key: str) -> int:
        """No more attempts; how many were given up in a row, without one between them that came to its end."""
        self._attempts.pop(key, None)
        self._given_up += 1
        return self._given_up

    def fail(self, error: LlmnerError) -> None:
        """Leave word of an error that ends the job; the first is kept. Ray itself hands on only its text."""
        self._error = self._error or error

    def error(self) -> LlmnerError | None:
        """The error that ended the job, if it is one of ours."""
        return self._error

    def add(self, documents: int, mentions: int, failed: int, source_tokens: int) -> None:
        """Count documents that are through."""
        self._progress.documents += documents
        self._progress.mentions += mentions
        self._progress.failed += failed
        self._progress.source_tokens += source_tokens

    def progress(self) -> Progress:
        """How far the run is."""
        self._progress.records = sum(self._read.values())
        self._progress.complete = 0 < self._tasks == len(self._finished)
        self._progress.resumed = self.resumed
        self._progress.seconds = time.monotonic() - self._started if self._started else 0.0
        return self._progress


class RemoteAttempts:
    """The monitor as workers reach it: each call waits until it is remembered."""

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    def begin(self, key: str) -> tuple[int, str]:
        """As ``Monitor.begin``."""
        answer: tuple[int, str] = ray.get(self._monitor.begin.remote(key))
        return answer

    def explain(self, key: str, reason: str) -> None:
        """As ``Monitor.explain``."""
        ray.get(self._monitor.explain.remote(key, reason))

    def end(self, key: str) -> None:
        """As ``Monitor.end``."""
        ray.get(self._monitor.end.remote(key))

    def give_up(self, key: str) -> int:
        """As ``Monitor.give_up``."""
        count: int = ray.get(self._monitor.give_up.remote(key))
        return count

    def fail(self, error: LlmnerError) -> None:
        """As ``Monitor.fail``."""
        ray.get(self._monitor.fail.remote(error))

    def add(self, documents: int, mentions: int, failed: int, source_tokens: int) -> None:
        """As ``Monitor.add``, without waiting."""
        self._monitor.add.remote(documents, mentions, failed, source_tokens)
