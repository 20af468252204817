"""The stages between reading and writing: thin wrappers that give batches of rows to the annotator's steps.

Invariant: one row a document from the read to the write; a stage never drops, adds or reorders a row. A model that is
broken itself, or gives no answer in time, ends its worker process, so that Ray starts a new one; a document that ends
its worker each time fails, alone. Whether the fault is the model's is told by harmless documents, not by those of the
batch.
"""

import hashlib
import logging
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from math import inf
from typing import NoReturn

import numpy as np
import pyarrow as pa

from llmner.annotator import Segmenter, Step, fail
from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Row
from llmner.errors import LlmnerError, ModelError, WorkerDiedError
from llmner.extraction.attempts import Attempts, Work
from llmner.extraction.counts import Pulse, Tally, Through
from llmner.extraction.mailbox import Mailbox

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 50_000  # that the model is given at once, but for a longer document
_LOOK = 5.0  # seconds between two looks whether the run is over, and between two beats of a model at work
MAX_ATTEMPTS = 2  # attempts alone in the model, after one among others, before a document or the model is given up


class SegmentStage:
    """Gives documents as read their sentences and final columns.

    Args:
        max_length: Code points above which a sentence is cut at a safe place.
        run_id: The run.
        unchanged: Records whose text is tagged already, sorted; of them the row has no more than the hash of the text.
    """

    def __init__(self, *, max_length: int, run_id: str, unchanged: np.ndarray) -> None:
        self._segment = Segmenter(max_length)
        self._run_id = run_id
        self._unchanged = unchanged

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows of the source's schema and ``record`` in, rows of ``DOCUMENT_SCHEMA`` out."""
        rows = table.to_pylist()
        for row, unchanged in zip(rows, np.isin(table["record"].to_numpy(), self._unchanged), strict=True):
            if unchanged:
                row |= {"status": "unchanged", "title": "", "text": "", "parts": []}
        self._segment(rows)
        for row in rows:
            row["run_id"] = self._run_id
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


class ModelStage:
    """Takes a step that needs a model of its own.

    The documents of a call go to the model together, as many as have ``MAX_CHARACTERS``. Several calls may be under way
    at once, in threads; a document that is suspected of ending workers goes while nothing else does.

    Args:
        make_step: Loads the model.
        attempts: The memory of attempts.
        mailbox: Where an error goes that ends the run.
        tally: Where the time of its calls is counted; None for nowhere.
        counts: Whether documents that are through are counted there, too.
        pulse: Where it is told that the model is at work; None for nowhere.
        calls: Calls that may be in the model at once.
        seconds: Seconds that the model may take, whatever it is given.
        seconds_per_character: Seconds that come to them for each code point.

    Raises:
        LlmnerError: The model cannot be loaded.
        RayError: The run is over, whose worker this is.
    """

    def __init__(
        self,
        make_step: Callable[[], Step],
        attempts: Attempts,
        mailbox: Mailbox,
        *,
        tally: Tally | None = None,
        counts: bool = False,
        pulse: Pulse | None = None,
        calls: int = 1,
        seconds: float = inf,
        seconds_per_character: float = 0.0,
    ) -> None:
        # Ray makes and calls a stage in different threads. OpenMP has a pool of threads for each caller, and once they
        # outnumber the cores it puts them to sleep at every barrier: a quarter of the speed. One caller, one pool.
        self._threads = ThreadPoolExecutor(calls, thread_name_prefix="model")
        mailbox.read()  # before a worker that Ray has left over loads a model again
        self._attempts = attempts
        self._mailbox = mailbox
        self._tally = tally
        self._counts = counts
        self._pulse = pulse
        self._turns = _Turns()
        self._seconds = seconds
        self._seconds_per_character = seconds_per_character
        try:
            self._step = self._threads.submit(make_step).result()
        except LlmnerError as e:
            mailbox.leave(e)
            raise
        threading.Thread(target=_end_with_the_run, args=(mailbox,), name="end", daemon=True).start()

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows of ``DOCUMENT_SCHEMA`` in and out."""
        rows = table.to_pylist()
        started = time.monotonic()
        if self._tally is not None and self._counts:
            self._tally.start()
        for part in _parts([row for row in rows if self._step.takes(row)]):
            self._take_together(part)
        if self._tally is not None:
            seconds = time.monotonic() - started
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            self._tally.add(self._step.name, seconds, memory, _through(rows) if self._counts else None)
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)

    def _take_together(self, rows: Sequence[Row]) -> None:
        work = Work(self._step.name, "call", _digest(rows))
        before, _ = self._attempts.begin(work)
        if before == 0:
            with self._turns.shared():
                self._take(rows, work)
        else:  # a worker died in this call: find the document that did it
            with self._turns.alone():
                self._check_model()
            for row in rows:
                with self._turns.alone():
                    self._take_alone(row)
        self._attempts.end(work)

    def _take(self, rows: Sequence[Row], work: Work) -> None:
        seconds = self._seconds + self._seconds_per_character * _characters(rows)
        until = time.monotonic() + seconds
        taken = self._threads.submit(self._step, rows)
        try:
            while not wait([taken], min(_LOOK, until - time.monotonic())).done:
                if time.monotonic() >= until:
                    raise TimeoutError(f"the model gave no answer in {seconds:.0f} s")
                if self._pulse is not None:
                    self._pulse.beat()
            taken.result()
        except Exception as e:  # noqa: BLE001 - a step catches what is a document's; the rest is the model's
            self._end_worker(e, work)

    def _check_model(self) -> None:
        """Make sure that the model can take harmless documents."""
        work = Work(self._step.name, "canary", "")
        before, reason = self._attempts.begin(work)
        if before >= MAX_ATTEMPTS:
            message = f"the model ends its worker on harmless documents, too, the last time: {reason}"
            error = ModelError(message, hint="see that the model runs at all on this machine")
            self._mailbox.leave(error)
            raise error
        self._take(self._step.canaries(), work)
        self._attempts.end(work)

    def _take_alone(self, row: Row) -> None:
        """Take the step with one document after a worker died on it among others; it fails when it does so again."""
        name = self._step.name
        work = Work(name, "document", str(row["record"]))
        before, reason = self._attempts.begin(work)
        if before < MAX_ATTEMPTS:
            self._take([row], work)
            self._attempts.end(work)
            return
        message = f"document {row['source_id']}: its worker died {1 + MAX_ATTEMPTS} times at stage {name}: {reason}"
        fail(row, WorkerDiedError(message), stage=name)

    def _end_worker(self, error: Exception, work: Work) -> NoReturn:
        """End this process because its model is broken: a fresh one is the only sure cure."""
        logger.error("the model is broken, its worker ends", exc_info=error)
        self._attempts.explain(work, f"{type(error).__name__}: {error}"[:500])
        logging.shutdown()
        os._exit(1)


def _end_with_the_run(mailbox: Mailbox) -> None:
    """End this process when its run has ended: left over, it would hold the cores that the next start needs."""
    from ray.exceptions import ActorDiedError

    while True:
        time.sleep(_LOOK)
        try:
            mailbox.read()
        except ActorDiedError:
            logger.warning("the run is over, its worker ends")
            logging.shutdown()
            os._exit(0)


class _Turns:
    """Lets threads in together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0  # to be alone; who comes later waits behind them

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._inside >= 0 and not self._waiting)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._inside == 0)
            self._waiting -= 1
            self._inside = -1
        try:
            yield
        finally:
            with self._changed:
                self._inside = 0
                self._changed.notify_all()


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield rows in parts of at most ``MAX_CHARACTERS``; one that is longer alone."""
    part: list[Row] = []
    for row in rows:
        if part and _characters(part) + len(row["text"]) > MAX_CHARACTERS:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def _characters(rows: Sequence[Row]) -> int:
    return sum(len(row["text"]) for row in rows)


def _through(rows: Sequence[Row]) -> Through:
    """Return what is counted of documents."""
    return Through(
        documents=len(rows),
        sentences=sum(len(row["sentences"]) for row in rows),
        mentions=sum(len(row["mentions"]) for row in rows),
        source_tokens=sum(row["source_tokens"] for row in rows),
        reasons=[row["error_class"] for row in rows if row["status"] in ("failed", "rejected")],
    )


def _digest(rows: Sequence[Row]) -> str:
    """Return what tells these documents from others of the batch."""
    records = repr([row["record"] for row in rows])
    return hashlib.blake2b(records.encode(), digest_size=12).hexdigest()
