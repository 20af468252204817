"""Documents in, annotated documents out: with a real segmentation, and an engine and a selector that need no model."""

import pytest
from capital_words import CapitalWordsEngine, ShortWordsSelector
from hypothesis import given
from hypothesis import strategies as st

from llmner.annotator import Annotator, Row
from llmner.documents import Document, Part
from llmner.errors import MalformedRecordError
from llmner.mentions import Mention
from llmner.selection.competition import Rules
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set

TAG_SETS = {"en": (load_tag_set("bc5cdr"), load_tag_set("genia")), "zh": (load_tag_set("cmeee_v2"),)}
WORDS = "Acute Renal Failure followed Aspirin."


def document(text: str, **more: object) -> Document:
    return Document("jsonl", str(more.pop("id", "1")), "memory", text, **more)


def annotate(*documents: Document, engine: CapitalWordsEngine | None = None, **options: object) -> list[Row]:
    return Annotator(engine or CapitalWordsEngine(), TAG_SETS, **options).annotate(documents)


def select(*texts: str, threshold: float | None = 0.5) -> list[Row]:
    """Annotate with a selector; anything may nest in bc5cdr here, nothing in genia."""
    rules = None if threshold is None else Rules(threshold, {}, {"genia": ()})
    documents = [document(text, id=i) for i, text in enumerate(texts)]
    return annotate(*documents, selector=ShortWordsSelector(), rules=rules)


def kept(row: Row, tag_set: str) -> list[str]:
    return [m["text"] for m in row["mentions"] if m["kept"] and m["tag_set"] == tag_set]


def test_mentions_have_offsets_into_the_document_and_parents() -> None:
    [row] = annotate(document("2 mg were given. Acute Renal Failure followed Aspirin."))
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


@given(st.lists(st.text(max_size=120), max_size=5))
def test_every_mention_is_its_slice_and_every_document_has_a_row(texts: list[str]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    rows = annotate(*(document(t, id=i) for i, t in enumerate(texts)))
    assert [row["text"] for row in rows] == texts
    for row in rows:
        assert row["status"] in ("ok", "empty")
        assert (row["status"] == "ok") == bool(row["mentions"])
        for m in row["mentions"]:
            assert row["text"][m["start"] : m["end"]] == m["text"] != ""


def test_tag_sets_go_by_language() -> None:
    english, chinese = annotate(document("Aspirin", id=1), document("服用 Aspirin 后", id=2, lang="zh"))
    assert {m["tag_set"] for m in english["mentions"]} == {"bc5cdr", "genia"}
    assert {m["tag_set"] for m in chinese["mentions"]} == {"cmeee_v2"}


def test_rejected_documents_pass_and_texts_without_anything_are_empty() -> None:
    rejected, blank, plain = annotate(
        document("", id=1, error=MalformedRecordError("line 1: no")), document(" \n", id=2), document("no word", id=3)
    )
    error = (rejected["status"], rejected["error_class"], rejected["error_stage"])
    assert error == ("rejected", "MalformedRecordError", "read")
    assert blank["status"] == plain["status"] == "empty"


def test_a_document_with_a_sentence_that_cannot_be_tagged_fails_alone() -> None:
    good, bad, other = annotate(
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

    [row] = annotate(document("Aspirin"), engine=Overshooting())
    assert (row["status"], row["error_class"]) == ("failed", "TaggingError")


def test_all_documents_are_one_call_of_the_engine() -> None:
    engine = CapitalWordsEngine()
    annotate(*(document(f"One {i}. Two.", id=i) for i in range(20)), engine=engine)
    assert engine.calls == 1


def test_an_engine_that_loses_a_result_is_broken() -> None:
    class Losing(CapitalWordsEngine):
        def tag(self, requests):
            return super().tag(requests)[1:]

    with pytest.raises(RuntimeError, match="1 results for 2 requests"):
        annotate(document("Aspirin"), engine=Losing())


def test_rivals_and_low_scores_go_and_stay_in_the_document() -> None:
    before = annotate(document(WORDS))[0]["mentions"]
    [row] = select(WORDS)
    assert [{**m, "selector_score": None, "kept": True, "parent": None} for m in row["mentions"]] == [
        {**m, "parent": None} for m in before
    ]
    scores = {m["text"]: m["selector_score"] for m in row["mentions"]}
    assert scores["Acute"] == pytest.approx(0.75)
    assert scores["Renal Failure"] == pytest.approx(0.35)
    assert kept(row, "bc5cdr") == ["Acute", "Renal", "Failure", "Aspirin"]
    [row] = select(WORDS, threshold=0.3)
    assert kept(row, "bc5cdr") == ["Acute Renal", "Acute", "Renal", "Failure", "Aspirin"], "the two pairs cross"
    assert kept(row, "genia") == ["Acute", "Renal", "Failure", "Aspirin"]
    parent = next(m["parent"] for m in row["mentions"] if m["kept"] and m["text"] == "Renal")
    assert row["mentions"][parent]["text"] == "Acute Renal"


def test_without_rules_all_is_scored_and_kept() -> None:
    [row] = select(WORDS, threshold=None)
    assert all(m["kept"] and m["selector_score"] is not None for m in row["mentions"])
    assert any(m["parent"] is not None for m in row["mentions"])


def test_a_document_without_a_kept_mention_is_empty_and_others_pass() -> None:
    some, plain, good = select(WORDS, "nothing here", "Fever", threshold=0.7)
    assert (some["status"], plain["status"], good["status"]) == ("ok", "empty", "ok")
    [row] = select(WORDS, threshold=0.99)
    assert row["status"] == "empty"
    assert row["mentions"]


def test_what_cannot_be_judged_fails_alone() -> None:
    good, bad, other = select("Aspirin", "Fine Words. UNJUDGEABLE", "Fever")
    assert (good["status"], other["status"]) == ("ok", "ok")
    assert (bad["status"], bad["error_class"], bad["error_stage"]) == ("failed", "SelectionError", "select")


def test_a_document_in_a_language_without_a_tag_set_says_so() -> None:
    english = {"en": TAG_SETS["en"]}
    [row] = Annotator(CapitalWordsEngine(), english).annotate([document("阿司匹林可以退热。", lang="zh")])
    assert (row["status"], row["error_class"], row["error_stage"]) == ("empty", "NoTagSet", "tag")
    assert row["error_message"] == "there is no tag set for language zh"


def test_each_part_ends_its_sentences_and_gets_the_tag_sets_of_its_language() -> None:
    text = "A Case of Gout\nColchicine helped.\n痛风CT检查"
    parts = (Part(0, 14, "title", "", "en"), Part(15, 33, "abstract", "", "en"), Part(34, 40, "title", "", "zh"))
    [row] = annotate(document(text, parts=parts))
    assert [(s["start"], s["end"], s["part"]) for s in row["sentences"]] == [(0, 14, 0), (15, 33, 1), (34, 40, 2)]
    assert {(m["sentence"], m["tag_set"]) for m in row["mentions"]} == {
        *((0, name) for name in ("bc5cdr", "genia")),
        *((1, name) for name in ("bc5cdr", "genia")),
        (2, "cmeee_v2"),
    }
