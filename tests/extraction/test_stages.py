"""Stages on tables, and what the model stage remembers of workers that died."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from capital_words import CapitalWordsEngine, ShortWordsSelector, selection

from llmner.annotator import Annotator
from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Document, Row, documents_table
from llmner.errors import ModelError
from llmner.extraction.attempts import Attempts, Work
from llmner.extraction.counts import Tally
from llmner.extraction.mailbox import Mailbox
from llmner.extraction.models import Loadable, Selection, load_judge, load_tagger
from llmner.extraction.stages import ModelStage, SegmentStage
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagset import load_tag_set

TAG_SETS = {"en": (load_tag_set("bc5cdr"), load_tag_set("genia"))}


class NotingAttempts(Attempts):
    """Notes what is begun."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Work] = []

    def begin(self, work: Work) -> tuple[int, str]:
        self.noted.append(work)
        return super().begin(work)


def documents(*texts: str) -> list[Document]:
    return [Document("jsonl", str(i), "memory", text) for i, text in enumerate(texts)]


def segmented(*texts: str) -> pa.Table:
    records = pa.array(range(len(texts)), pa.int64())
    table = documents_table(documents(*texts)).append_column(pa.field("record", pa.int64(), nullable=False), records)
    return SegmentStage(max_length=400, run_id="r", unchanged=np.zeros(0, np.int64))(table)


def tag_stage(
    engine: CapitalWordsEngine | None = None, attempts: Attempts | None = None, **options: object
) -> ModelStage:
    engine = engine or CapitalWordsEngine()
    make = partial(load_tagger, Loadable(lambda: engine, engine.fingerprint), TAG_SETS)
    return ModelStage(make, attempts or Attempts(), Mailbox(), **options)


def test_stages_give_what_the_annotator_gives() -> None:
    texts = ["Acute Renal Failure followed Aspirin.", "Fine Words. UNTAGGABLE", " ", "nothing", "Fever. UNJUDGEABLE"]
    tally = Tally()
    tagged = tag_stage(tally=tally, counts=True)(segmented(*texts))
    chosen = selection()
    judged = ModelStage(partial(load_judge, chosen, TAG_SETS), Attempts(), Mailbox())(tagged)
    assert judged.schema.equals(DOCUMENT_SCHEMA, check_metadata=True)
    annotator = Annotator(CapitalWordsEngine(), TAG_SETS, selector=ShortWordsSelector(), rules=chosen.rules)
    rows = judged.to_pylist()
    assert [row.pop("record") for row in rows] == list(range(len(texts)))
    assert {row.pop("run_id") for row in rows} == {"r"}
    assert rows == annotator.annotate(documents(*texts))
    assert (tally.documents, dict(tally.reasons)) == (5, {"TaggingError": 1})
    assert tally.mentions == sum(len(row["mentions"]) for row in tagged.to_pylist())


def test_the_model_is_made_and_called_in_one_thread_whatever_threads_call_the_stage() -> None:
    threads = []

    class Noting(CapitalWordsEngine):
        def __init__(self) -> None:
            super().__init__()
            threads.append(threading.get_ident())

        def tag(self, requests):
            threads.append(threading.get_ident())
            return super().tag(requests)

    make = partial(load_tagger, Loadable(Noting, Noting.fingerprint), TAG_SETS)
    with ThreadPoolExecutor() as one, ThreadPoolExecutor() as other:
        stage = one.submit(ModelStage, make, Attempts(), Mailbox()).result()
        for pool in (one, other):
            pool.submit(stage, segmented("Aspirin was given.")).result()
    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_a_model_that_is_not_the_data_sets_is_refused_and_the_driver_told() -> None:
    mailbox = Mailbox()
    make = partial(load_tagger, Loadable(CapitalWordsEngine, {"model": "another"}), TAG_SETS)
    with pytest.raises(ModelError, match="capital words"):
        ModelStage(make, Attempts(), mailbox)
    wrong = Selection(Loadable(ShortWordsSelector, {"weights": "others"}), selection().rules, "on")
    with pytest.raises(ModelError, match="short words"):
        ModelStage(partial(load_judge, wrong, TAG_SETS), Attempts(), mailbox)
    assert "capital words" in str(mailbox.read()), "the first error is kept"


def test_the_model_is_given_so_many_characters_at_once() -> None:
    attempts = NotingAttempts()
    stage = tag_stage(attempts=attempts)
    long, short = "Aspirin fell. " * 2500, "Fever."  # 35,000 and 6 code points
    assert stage(segmented(short, long, short, long, "", long * 2)).num_rows == 6
    assert len(calls_begun(attempts)) == 3


def calls_begun(attempts: NotingAttempts) -> set[Work]:
    return {work for work in attempts.noted if work.kind == "call"}


class Died(BaseException):
    """Stands for the end of a worker process: nothing of ours catches it."""


class MortalEngine(CapitalWordsEngine):
    """Its worker ends on sentences with ``DEADLY``, or on any."""

    def __init__(self, *, on_any: bool = False) -> None:
        super().__init__()
        self.on_any = on_any

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        if self.on_any or any("DEADLY" in r.text for r in requests):
            raise Died
        return super().tag(requests)


def until_done(table: pa.Table, engine: CapitalWordsEngine, attempts: Attempts) -> tuple[list[Row], int]:
    """Give a table to one worker after another, as Ray does; rows, and workers that died."""
    for deaths in range(100):
        try:
            return tag_stage(engine, attempts)(table).to_pylist(), deaths
        except Died:
            continue
    raise AssertionError("a hundred workers died")


@pytest.mark.parametrize("deadly", [(2,), (0, 1, 2), (0, 1, 2, 3, 4, 7)])
def test_documents_that_kill_workers_fail_alone_and_each_costs_two_workers(deadly: tuple[int, ...]) -> None:
    table = segmented(*("DEADLY" if i in deadly else f"Word {i}" for i in range(8)))
    attempts = Attempts()
    rows, deaths = until_done(table, MortalEngine(), attempts)
    assert [i for i, row in enumerate(rows) if row["status"] == "failed"] == list(deadly)
    assert {row["status"] for i, row in enumerate(rows) if i not in deadly} == {"ok"}
    assert {row["error_class"] for row in rows} <= {"WorkerDiedError", None}
    assert "died 3 times" in rows[deadly[0]]["error_message"]
    assert deaths == attempts.deaths == 1 + 2 * len(deadly)


def test_what_was_given_up_stays_so_when_the_run_starts_again() -> None:
    table = segmented("Word", "DEADLY", "Word")
    before = Attempts()
    until_done(table, MortalEngine(), before)
    attempts = Attempts(before.suspects())
    rows, deaths = until_done(table, MortalEngine(), attempts)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert deaths == 1


def test_why_a_worker_ended_is_told() -> None:
    attempts = NotingAttempts()
    culprit = Work("tag", "document", "1")
    table = segmented("Word", "Word")
    tag_stage(attempts=attempts)(table)
    [call] = calls_begun(attempts)
    for work in (call, culprit, culprit):
        attempts.begin(work)
    attempts.explain(culprit, "RuntimeError: out of order")
    assert "RuntimeError: out of order" in tag_stage(attempts=attempts)(table).to_pylist()[1]["error_message"]


def test_a_model_that_dies_on_harmless_documents_ends_the_job() -> None:
    table = segmented(*(f"Word {i}" for i in range(8)))
    attempts = Attempts()
    for _ in range(3):
        with pytest.raises(Died):
            tag_stage(MortalEngine(on_any=True), attempts)(table)
    with pytest.raises(ModelError, match="harmless documents"):
        tag_stage(MortalEngine(on_any=True), attempts)(table)


def test_a_selector_has_harmless_documents_too() -> None:
    tagged = tag_stage()(segmented("Acute Renal Failure."))
    attempts = NotingAttempts()
    make = partial(load_judge, selection(), TAG_SETS)
    ModelStage(make, attempts, Mailbox())(tagged)
    [call] = calls_begun(attempts)
    attempts.begin(call)
    [row] = ModelStage(make, attempts, Mailbox())(tagged).to_pylist()
    assert row["status"] == "ok"
    assert Work("select", "canary", "") in attempts.noted


def test_calls_in_threads_go_together_but_a_suspect_goes_alone() -> None:
    inside: set[int] = set()
    together: list[int] = []
    lock = threading.Lock()

    class Watched(CapitalWordsEngine):
        def tag(self, requests):
            with lock:
                inside.add(threading.get_ident())
                together.append(len(inside))
            time.sleep(0.1)
            results = super().tag(requests)
            with lock:
                inside.remove(threading.get_ident())
            return results

    whole = segmented(*(f"Word {i}" for i in range(4)))
    tables = [whole.slice(i, 1) for i in range(4)]
    attempts = NotingAttempts()
    stage = tag_stage(Watched(), attempts, calls=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(stage, tables))
        assert max(together) > 1
        for call in calls_begun(attempts):
            attempts.begin(call)  # a worker died in them
        together.clear()
        rows = [row for table in threads.map(stage, tables) for row in table.to_pylist()]
    assert set(together) == {1}
    assert len(together) == 8, "four documents, and harmless ones before each call"
    assert [row["status"] for row in rows] == ["ok"] * 4
