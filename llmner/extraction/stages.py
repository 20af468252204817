"""The stages between reading and writing: a batch of documents in, the same documents out.

Invariant: one row a document from the read to the write; a stage never drops, adds or reorders a row, and what
goes wrong with one document is written into its row and touches no other. An engine that is broken itself ends
its worker process, so that Ray starts a new one; a document that ends its worker each time fails, alone.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import pyarrow as pa

from llmner.documents import DOCUMENT_SCHEMA, Part
from llmner.errors import LanguageError, LlmnerError, ModelError, TaggingError, WorkerDiedError
from llmner.mentions import parents
from llmner.segmentation import segment_parts
from llmner.tagging.engine import Engine, TaggingRequest, TaggingResult
from llmner.tagset import TagSet

logger = logging.getLogger(__name__)

Row = dict[str, Any]
MAX_ATTEMPTS = 2  # attempts alone in the engine, after one among others, before a document fails
MAX_GIVEN_UP = 3  # documents in a row that may fail so, before the fault is the engine's


class Attempts(Protocol):
    """Remembers, beyond a worker's life, what was begun and did not end. See ``monitor.Monitor``."""

    def begin(self, key: str) -> tuple[int, str]:
        """Begin a batch or a document; how often that was begun in vain, and why it did not end."""
        ...

    def explain(self, key: str, reason: str) -> None:
        """Leave word why the attempt under way is about to end its worker."""
        ...

    def end(self, key: str) -> None:
        """The attempt under way came to its end."""
        ...

    def give_up(self, key: str) -> int:
        """No more attempts; how many were given up in a row."""
        ...

    def fail(self, error: LlmnerError) -> None:
        """Leave word of an error that ends the job."""
        ...

    def add(self, documents: int, mentions: int, failed: int, source_tokens: int) -> None:
        """Count documents that are through."""
        ...


class SegmentStage:
    """Cuts documents into sentences and gives each its final columns."""

    def __init__(self, *, max_length: int, run_id: str) -> None:
        self._max_length = max_length
        self._run_id = run_id

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows of the source's schema and ``record`` in, rows of ``DOCUMENT_SCHEMA`` out."""
        rows = batch.to_pylist()
        for row in rows:
            row |= {"sentences": [], "mentions": [], "source_tokens": 0, "fed_tokens": 0, "run_id": self._run_id}
            if row["status"] != "read":
                continue
            if not row["text"].strip():
                row["status"] = "empty"
                continue
            try:
                parts = [Part(**part) for part in row["parts"]]
                found = segment_parts(row["text"], parts, max_length=self._max_length)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is this document's alone
                fail(row, e, stage="segment")
            else:
                row["sentences"] = [{"start": start, "end": end, "part": part} for start, end, part in found]
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


class TagStage:
    """Finds the mentions of segmented documents with an engine of its own.

    All sentences of a batch, for all tag sets of their languages, go into one call of the engine. Several batches may
    be under way at once, in threads; a document that is suspected is tagged while nothing else is.

    Args:
        engine_factory: Makes the engine.
        engine: The fingerprint that it must have.
        tag_sets: Tag sets by language.
        attempts: The memory of attempts.
        batches: Batches that may be in the engine at once.

    Raises:
        ModelError: The engine is another one than the data set says.
    """

    def __init__(
        self,
        engine_factory: Callable[[], Engine],
        engine: Mapping[str, str],
        tag_sets: Mapping[str, Sequence[TagSet]],
        attempts: Attempts,
        batches: int = 1,
    ) -> None:
        # Ray makes and calls a stage in different threads. OpenMP has a pool of threads for each caller, and once they
        # outnumber the cores it puts them to sleep at every barrier: a quarter of the speed. One caller, one pool.
        self._threads = ThreadPoolExecutor(batches, thread_name_prefix="engine")
        try:
            self._engine = self._threads.submit(engine_factory).result()
            if self._engine.fingerprint != engine:
                message = f"the worker's engine is {self._engine.fingerprint}, the data set is made with {dict(engine)}"
                raise ModelError(message, hint="give all nodes the same models and the same version of llmner")
        except LlmnerError as e:
            attempts.fail(e)
            raise
        self._tag_sets = tag_sets
        self._attempts = attempts
        self._turns = _Turns()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows of ``DOCUMENT_SCHEMA`` in and out; afterwards no status is ``read``."""
        rows = batch.to_pylist()
        todo = [row for row in rows if row["status"] == "read"]
        key = batch_key(rows, stage="tag")
        before, _ = self._attempts.begin(key)
        if before == 0:
            with self._turns.shared():
                self._tag(todo, key)
        else:  # a worker died on this batch: find the document that did it
            for row in todo:
                with self._turns.alone():
                    self._tag_alone(row)
        self._attempts.end(key)
        failed = sum(row["status"] == "failed" for row in rows)
        mentions = sum(len(row["mentions"]) for row in rows)
        tokens = sum(row["source_tokens"] for row in rows)
        self._attempts.add(len(rows), mentions, failed, tokens)
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)

    def _tag_alone(self, row: Row) -> None:
        run_alone(row, self._tag, self._attempts, stage="tag")

    def _tag(self, rows: Sequence[Row], key: str) -> None:
        requests: list[TaggingRequest] = []
        places: list[tuple[int, int]] = []  # row, sentence
        for r, row in enumerate(rows):
            for s, span in enumerate(row["sentences"]):
                for tag_set in self._tag_sets.get(row["parts"][span["part"]]["lang"], ()):
                    requests.append(TaggingRequest(row["text"][span["start"] : span["end"]], tag_set))
                    places.append((r, s))
        results = self._run_engine(requests, key) if requests else []
        found: list[list[tuple[int, TaggingRequest, TaggingResult]]] = [[] for _ in rows]
        for (r, s), request, result in zip(places, requests, results, strict=True):
            found[r].append((s, request, result))
        for row, answers in zip(rows, found, strict=True):
            if not answers:
                _reject_language(row)
                continue
            try:
                _assemble(row, answers)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is this document's alone
                fail(row, e, stage="tag")

    def _run_engine(self, requests: Sequence[TaggingRequest], key: str) -> list[TaggingResult]:
        try:
            results = self._threads.submit(self._engine.tag, requests).result()
            if len(results) != len(requests):
                raise RuntimeError(f"the engine gave {len(results)} results for {len(requests)} requests")
        except Exception as e:  # noqa: BLE001 - the protocol says: an engine that raises is broken
            end_worker(e, key, self._attempts)
        return results


def run_alone(row: Row, run: Callable[[Sequence[Row], str], None], attempts: Attempts, *, stage: str) -> None:
    """Run a document by itself after a worker died on its batch; one that has ended its worker too often fails.

    Args:
        row: The document.
        run: What the stage does with documents, given them and the key of the attempt.
        attempts: The memory of attempts.
        stage: Name of the stage, for keys and errors.

    Raises:
        ModelError: So many documents in a row failed so that it cannot be their fault.
    """
    key = f"{stage} document {row['record']}"
    before, reason = attempts.begin(key)
    if before < MAX_ATTEMPTS:
        run([row], key)
        attempts.end(key)
        return
    if attempts.give_up(key) > MAX_GIVEN_UP:
        message = f"workers die on {MAX_GIVEN_UP} documents in a row, the last time: {reason}"
        error = ModelError(message, hint="see that the model runs at all on this machine")
        attempts.fail(error)
        raise error
    message = f"document {row['source_id']}: its worker died {1 + before} times at stage {stage}: {reason}"
    fail(row, WorkerDiedError(message), stage=stage)


def end_worker(error: Exception, key: str, attempts: Attempts) -> NoReturn:
    """End this process because its model is broken: a fresh one is the only sure cure."""
    logger.error("the model is broken, its worker ends", exc_info=error)
    attempts.explain(key, f"{type(error).__name__}: {error}"[:500])
    logging.shutdown()
    os._exit(1)


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


def _reject_language(row: Row) -> None:
    """Write into a document's row that there is no tag set for any language in it."""
    languages = ", ".join(sorted({row["parts"][s["part"]]["lang"] for s in row["sentences"]}))
    error = LanguageError(f"document {row['source_id']}: no tag set for language {languages}", hint="see tag_sets")
    row |= {"status": "rejected", "error_class": type(error).__name__}
    row |= {"error_message": str(error), "error_stage": "tag"}


def _assemble(row: Row, answers: Sequence[tuple[int, TaggingRequest, TaggingResult]]) -> None:
    """Write a document's mentions, with offsets into the document, into its row."""
    mentions: list[Row] = []
    row["source_tokens"] = sum(result.source_tokens for _, _, result in answers)
    row["fed_tokens"] = sum(result.fed_tokens for _, _, result in answers)
    for s, request, result in answers:
        if result.error is not None:
            raise result.error
        offset = row["sentences"][s]["start"]
        for m in result.mentions:
            if m.end > len(request.text):
                raise TaggingError(f"mention [{m.start}, {m.end}) is outside its sentence of {len(request.text)}")
            mentions.append(
                {
                    "start": offset + m.start,
                    "end": offset + m.end,
                    "text": request.text[m.start : m.end],
                    "type": m.type,
                    "tag_set": request.tag_set.name,
                    "sentence": s,
                    "parent": None,
                    "generator_score": round(m.score, 4),
                    "selector_score": None,
                    "kept": True,
                    "match": m.match,
                }
            )
    mentions.sort(key=lambda m: (m["start"], -m["end"], m["tag_set"], m["type"]))
    set_parents(mentions)
    row["mentions"] = mentions
    row["status"] = "ok" if mentions else "empty"


def set_parents(mentions: Sequence[Row]) -> None:
    """Write into each kept mention which kept one of its tag set encloses it; one that is not kept has no parent."""
    for m in mentions:
        m["parent"] = None
    for name in {m["tag_set"] for m in mentions}:
        indices = [i for i, m in enumerate(mentions) if m["kept"] and m["tag_set"] == name]
        spans = [(mentions[i]["start"], mentions[i]["end"]) for i in indices]
        for i, parent in zip(indices, parents(spans), strict=True):
            mentions[i]["parent"] = None if parent is None else indices[parent]


def fail(row: Row, error: Exception, *, stage: str) -> None:
    """Write into a document's row that it failed, and why."""
    if not isinstance(error, LlmnerError):
        logger.error("document %s failed at %s", row["source_id"], stage, exc_info=error)
    row |= {"status": "failed", "mentions": [], "error_class": type(error).__name__}
    row |= {"error_message": str(error), "error_stage": stage}


def batch_key(rows: Sequence[Row], *, stage: str) -> str:
    """What the attempts at a batch are remembered by."""
    records = repr([row["record"] for row in rows])
    return f"{stage} batch {hashlib.blake2b(records.encode(), digest_size=12).hexdigest()}"
