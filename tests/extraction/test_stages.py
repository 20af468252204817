"""Stages on tables, and what the model stage remembers of workers that died."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from capital_words import CapitalWordsEngine, ShortWordsSelector, selection

from llmner.annotator import Annotator
from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Document, documents_table
from llmner.errors import ModelError
from llmner.extraction.attempts import Attempts, Work
from llmner.extraction.counts import Tally
from llmner.extraction.mailbox import Mailbox
from llmner.extraction.models import Loadable, Selection, load_judge, load_tagger
from llmner.extraction.stages import ModelStage, SegmentStage
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
    tagged = tag_stage(tally=tally)(segmented(*texts))
    chosen = selection()
    judged = ModelStage(partial(load_judge, chosen, TAG_SETS), Attempts(), Mailbox())(tagged)
    assert judged.schema.equals(DOCUMENT_SCHEMA, check_metadata=True)
    annotator = Annotator(CapitalWordsEngine(), TAG_SETS, selector=ShortWordsSelector(), rules=chosen.rules)
    rows = judged.to_pylist()
    assert [row.pop("record") for row in rows] == list(range(len(texts)))
    assert {row.pop("run_id") for row in rows} == {"r"}
    assert rows == annotator.annotate(documents(*texts))
    assert (tally.documents, tally.failed) == (5, 1)
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


def calls_begun(attempts: NotingAttempts) -> set[Work]:
    return {work for work in attempts.noted if work.kind == "call"}


def test_after_a_lost_worker_documents_go_one_by_one_and_the_culprit_is_given_up() -> None:
    table = segmented(*(f"Word {i}" for i in range(4)))
    attempts, engine = NotingAttempts(), CapitalWordsEngine()
    stage = tag_stage(engine, attempts)
    stage(table)
    [call] = calls_begun(attempts)
    culprit = Work("tag", "document", "2")
    attempts.begin(call)  # a first worker died in the call
    attempts.begin(culprit)  # and two more on this document
    attempts.begin(culprit)
    attempts.explain(culprit, "RuntimeError: out of order")
    engine.calls = 0
    rows = stage(table).to_pylist()
    assert engine.calls == 3
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok"]
    assert rows[2]["error_class"] == "WorkerDiedError"
    assert "died 3 times" in rows[2]["error_message"]
    assert "out of order" in rows[2]["error_message"]
    assert attempts.deaths == 1


def test_a_model_that_kills_its_worker_on_every_document_ends_the_job() -> None:
    table = segmented(*(f"Word {i}" for i in range(8)))
    attempts = NotingAttempts()
    stage = tag_stage(attempts=attempts)
    stage(table)
    [call] = calls_begun(attempts)
    for work in (call, *(Work("tag", "document", str(i)) for i in range(8) for _ in range(2))):
        attempts.begin(work)
    with pytest.raises(ModelError, match="in a row"):
        stage(table)


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
    assert together == [1, 1, 1, 1]
    assert [row["status"] for row in rows] == ["ok"] * 4
