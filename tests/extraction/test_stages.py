"""Stages on batches, with a real segmentation and an engine that needs no model."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from capital_words import CapitalWordsEngine
from hypothesis import given
from hypothesis import strategies as st

from llmner.documents import DOCUMENT_SCHEMA, Document, Part, documents_table
from llmner.errors import MalformedRecordError, ModelError
from llmner.extraction.monitor import Monitor
from llmner.extraction.stages import SegmentStage, TagStage
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set

TAG_SETS = {"en": (load_tag_set("bc5cdr"), load_tag_set("genia")), "zh": (load_tag_set("cmeee_v2"),)}


def batch(*documents: Document) -> pa.Table:
    records = pa.array(range(len(documents)), pa.int64())
    return documents_table(documents).append_column(pa.field("record", pa.int64(), nullable=False), records)


def document(text: str, **more: object) -> Document:
    return Document("jsonl", str(more.pop("id", "1")), "memory", text, **more)


def stages(engine: CapitalWordsEngine | None = None, monitor: Monitor | None = None, batches: int = 1) -> TagStage:
    engine = engine or CapitalWordsEngine()
    return TagStage(lambda: engine, engine.fingerprint, TAG_SETS, monitor or Monitor(), batches)


def process(*documents: Document) -> list[dict]:
    table = stages()(SegmentStage(max_length=400, run_id="r")(batch(*documents)))
    assert table.schema.equals(DOCUMENT_SCHEMA, check_metadata=True)
    return table.to_pylist()


def test_mentions_have_offsets_into_the_document_and_parents() -> None:
    [row] = process(document("2 mg were given. Acute Renal Failure followed Aspirin."))
    assert row["status"] == "ok"
    assert [(s["start"], s["end"]) for s in row["sentences"]] == [(0, 16), (17, 54)]
    ours = [m for m in row["mentions"] if m["tag_set"] == "bc5cdr"]
    assert [(m["text"], m["type"], m["sentence"]) for m in ours] == [
        ("Acute Renal", "Disease", 1),
        ("Acute", "Chemical", 1),
        ("Renal Failure", "Disease", 1),
        ("Renal", "Chemical", 1),
        ("Failure", "Chemical", 1),
        ("Aspirin", "Chemical", 1),
    ]
    by_text = {(m["tag_set"], m["text"]): m for m in row["mentions"]}
    parent = row["mentions"][by_text["bc5cdr", "Acute"]["parent"]]
    assert (parent["text"], parent["tag_set"]) == ("Acute Renal", "bc5cdr")
    assert by_text["bc5cdr", "Acute Renal"]["parent"] is None
    assert by_text["bc5cdr", "Acute"]["generator_score"] == pytest.approx(0.1235, abs=1e-7)
    assert {m["tag_set"] for m in row["mentions"]} == {"bc5cdr", "genia"}
    order = [(m["start"], -m["end"], m["tag_set"], m["type"]) for m in row["mentions"]]
    assert order == sorted(order)


def test_each_part_ends_its_sentences_and_gets_the_tag_sets_of_its_language() -> None:
    text = "A Case of Gout\nColchicine helped.\n痛风CT检查"
    parts = (Part(0, 14, "title", "", "en"), Part(15, 33, "abstract", "", "en"), Part(34, 40, "title", "", "zh"))
    [row] = process(document(text, parts=parts))
    assert [(s["start"], s["end"], s["part"]) for s in row["sentences"]] == [(0, 14, 0), (15, 33, 1), (34, 40, 2)]
    assert {(m["sentence"], m["tag_set"]) for m in row["mentions"]} == {
        *((0, name) for name in ("bc5cdr", "genia")),
        *((1, name) for name in ("bc5cdr", "genia")),
        (2, "cmeee_v2"),
    }


def test_a_language_without_a_tag_set_is_told() -> None:
    french, english = process(document("La Goutte fait mal.", lang="fr"), document("Gout hurts.", id=2))
    assert (french["status"], french["error_class"]) == ("rejected", "LanguageError")
    assert "no tag set for language fr" in french["error_message"]
    assert english["status"] == "ok"


@given(st.lists(st.text(max_size=120), max_size=5))
def test_every_mention_is_its_slice_and_every_document_has_a_row(texts: list[str]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    rows = process(*(document(t, id=i) for i, t in enumerate(texts)))
    assert [row["text"] for row in rows] == texts
    for row in rows:
        assert row["status"] in ("ok", "empty")
        assert (row["status"] == "ok") == bool(row["mentions"])
        for m in row["mentions"]:
            assert row["text"][m["start"] : m["end"]] == m["text"] != ""


def test_tag_sets_go_by_language() -> None:
    english, chinese = process(document("Aspirin", id=1), document("服用 Aspirin 后", id=2, lang="zh"))
    assert {m["tag_set"] for m in english["mentions"]} == {"bc5cdr", "genia"}
    assert {m["tag_set"] for m in chinese["mentions"]} == {"cmeee_v2"}


def test_rejected_rows_pass_and_texts_without_anything_are_empty() -> None:
    rejected, blank, plain = process(
        document("", id=1, error=MalformedRecordError("line 1: no")), document(" \n", id=2), document("no word", id=3)
    )
    assert (rejected["status"], rejected["error_class"], rejected["error_stage"]) == (
        "rejected",
        "MalformedRecordError",
        "read",
    )
    assert blank["status"] == plain["status"] == "empty"


def test_a_document_with_a_sentence_that_cannot_be_tagged_fails_alone() -> None:
    good, bad, other = process(
        document("Aspirin", id=1), document("Fine Words. UNTAGGABLE", id=2), document("Fever", id=3)
    )
    assert (good["status"], other["status"]) == ("ok", "ok")
    assert (bad["status"], bad["error_class"], bad["error_stage"]) == ("failed", "TaggingError", "tag")
    assert "this cannot be tagged" in bad["error_message"]
    assert bad["mentions"] == []


def test_a_mention_outside_its_sentence_fails_the_document() -> None:
    class Overshooting(CapitalWordsEngine):
        def _tag(self, request):
            return TaggingResult((Mention(0, len(request.text) + 1, "Chemical"),))

    [row] = stages(Overshooting())(SegmentStage(max_length=400, run_id="r")(batch(document("Aspirin")))).to_pylist()
    assert (row["status"], row["error_class"]) == ("failed", "TaggingError")


def test_a_batch_is_one_call_of_the_engine() -> None:
    engine = CapitalWordsEngine()
    segmented = SegmentStage(max_length=400, run_id="r")(batch(*(document(f"One {i}. Two.", id=i) for i in range(20))))
    stages(engine)(segmented)
    assert engine.calls == 1


def test_the_engine_is_made_and_called_in_one_thread_whatever_threads_call_the_stage() -> None:
    threads = []

    class Noting(CapitalWordsEngine):
        def __init__(self) -> None:
            super().__init__()
            threads.append(threading.get_ident())

        def tag(self, requests):
            threads.append(threading.get_ident())
            return super().tag(requests)

    segmented = SegmentStage(max_length=400, run_id="r")(batch(document("Aspirin was given.")))
    with ThreadPoolExecutor() as one, ThreadPoolExecutor() as other:
        stage = one.submit(TagStage, Noting, Noting.fingerprint, TAG_SETS, Monitor()).result()
        for pool in (one, other):
            pool.submit(stage, segmented).result()
    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_an_engine_that_is_not_the_data_sets_is_refused() -> None:
    with pytest.raises(ModelError, match="capital words"):
        TagStage(CapitalWordsEngine, {"model": "another"}, TAG_SETS, Monitor())


def test_after_a_lost_worker_documents_go_one_by_one_and_the_culprit_is_given_up() -> None:
    segmented = SegmentStage(max_length=400, run_id="r")(batch(*(document(f"Word {i}", id=i) for i in range(4))))
    monitor = Monitor()
    engine = CapitalWordsEngine()
    stage = stages(engine, monitor)
    stage(segmented)
    [key] = {k for k in _keys_begun(monitor, stage, segmented) if k.startswith("tag batch")}
    monitor.begin(key)  # a first worker died on the batch
    monitor.begin("tag document 2")  # and two more on this document
    monitor.begin("tag document 2")
    monitor.explain("tag document 2", "RuntimeError: out of order")
    engine.calls = 0
    rows = stage(segmented).to_pylist()
    assert engine.calls == 3
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok"]
    assert rows[2]["error_class"] == "WorkerDiedError"
    assert "died 3 times" in rows[2]["error_message"]
    assert "out of order" in rows[2]["error_message"]


def test_a_model_that_kills_its_worker_on_every_document_ends_the_job() -> None:
    monitor = Monitor()
    segmented = SegmentStage(max_length=400, run_id="r")(batch(*(document(f"Word {i}", id=i) for i in range(8))))
    stage = stages(monitor=monitor)
    [key] = {k for k in _keys_begun(monitor, stage, segmented) if k.startswith("tag batch")}
    monitor.begin(key)
    for i in range(8):
        monitor.begin(f"tag document {i}")
        monitor.begin(f"tag document {i}")
    with pytest.raises(ModelError, match="in a row"):
        stage(segmented)


def test_batches_in_threads_go_together_but_a_suspect_goes_alone() -> None:
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

    whole = SegmentStage(max_length=400, run_id="r")(batch(*(document(f"Word {i}", id=i) for i in range(4))))
    segmented = [whole.slice(i, 1) for i in range(4)]
    monitor = Monitor()
    stage = stages(Watched(), monitor, batches=4)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(stage, segmented))
        assert max(together) > 1
        for key in {k for table in segmented for k in _keys_begun(monitor, stage, table) if k.startswith("tag batch")}:
            monitor.begin(key)  # a worker died on them
        together.clear()
        rows = [row for table in threads.map(stage, segmented) for row in table.to_pylist()]
    assert together == [1, 1, 1, 1]
    assert [row["status"] for row in rows] == ["ok"] * 4


def _keys_begun(monitor: Monitor, stage: TagStage, segmented: pa.Table) -> set[str]:
    begun: set[str] = set()
    original = monitor.begin

    def begin(key: str) -> tuple[int, str]:
        begun.add(key)
        return original(key)

    monitor.begin = begin  # type: ignore[method-assign]
    stage(segmented)
    del monitor.begin
    return begun
