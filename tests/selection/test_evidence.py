"""What the same string elsewhere in its document says of a candidate, and what is proposed for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.mentions import Mention
from llmner.selection.calibration import log_odds
from llmner.selection.evidence import EVIDENCE, DocumentStrings

TEXTS = [
    "Colistin-associated neuropathy (CAN) is rare.",
    "We saw neuropathy, and again Neuropathy, after colistin.",
    "CAN ended; neuropathy of the optic nerve did not.",
]


def mention(sentence: int, text: str, type_: str, score: float) -> Mention:
    start = TEXTS[sentence].index(text)
    return Mention(start, start + len(text), type_, score)


CANDIDATES = [
    [mention(0, "Colistin", "Chemical", 0.9), mention(0, "Colistin-associated neuropathy", "Disease", 0.8)],
    [mention(1, "neuropathy", "Disease", 0.7)],
    [mention(2, "neuropathy of the optic nerve", "Disease", 0.6), mention(2, "CAN", "Chemical", 0.3)],
]


def test_places_of_a_string_that_are_sure_elsewhere_are_proposed() -> None:
    proposed = DocumentStrings(TEXTS, CANDIDATES).repeats()
    shown = [[(TEXTS[s][m.start : m.end], m.type, m.written, m.score) for m in own] for s, own in enumerate(proposed)]
    # Not inside longer mentions; not "CAN", of which the model was not sure.
    assert shown == [[], [("Neuropathy", "Disease", False, 0.0), ("colistin", "Chemical", False, 0.0)], []]


def test_evidence_by_hand() -> None:
    proposed = DocumentStrings(TEXTS, CANDIDATES).repeats()
    together = [[*own, *more] for own, more in zip(CANDIDATES, proposed, strict=True)]
    found = DocumentStrings(TEXTS, together).evidence()
    assert set(found) == set(EVIDENCE)
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    colistin, long, neuropathy, again, other_colistin, optic, can = rows
    assert colistin["generator"] == log_odds(0.9)
    assert colistin["repeats"] == math.log(2)
    assert (colistin["tagged"], colistin["surest"], colistin["proposed"]) == (0, 0, 0)
    assert long["abbreviated"] == 0, "its short form was tagged as something else"
    assert neuropathy["repeats"] == math.log(2), "the other two stand in longer mentions"
    assert neuropathy["tagged"] == 0
    for repeat, score in ((again, 0.7), (other_colistin, 0.9)):
        assert repeat["generator"] == 0
        assert repeat["proposed"] == 1
        assert repeat["tagged"] == pytest.approx(score)
        assert repeat["surest"] == repeat["proposed_surest"] == log_odds(score)
    assert optic["repeats"] == 0
    assert can["other_type"] == 0
    assert can["repeats"] == math.log(2)


def test_a_short_form_stands_for_its_long_one() -> None:
    chemical, disease = CANDIDATES[2][1], mention(2, "CAN", "Disease", 0.4)
    found = DocumentStrings(TEXTS, [*CANDIDATES[:2], [chemical, disease]]).evidence()
    assert found["abbreviated"][-2:] == [0, 1]
    assert found["abbreviation"][-1] == log_odds(0.8)
    assert found["abbreviation"][1] == log_odds(0.4), "and the other way round"


def test_chinese_has_no_spaces() -> None:
    texts = ["糖尿病可引起肾病。", "肾病和糖尿病。"]
    found = DocumentStrings(texts, [[Mention(0, 3, "dis", 0.9)], []]).repeats()
    assert found == [[], [Mention(3, 6, "dis", 0.0, match="repeat")]]


def test_what_the_model_is_shown_as_white_space_is_no_string() -> None:
    found = DocumentStrings(["a \x00 b"], [[Mention(2, 3, "x", 0.9)]])
    assert found.repeats() == [[]]
    assert found.evidence()["repeats"] == [0]


words = st.sampled_from(["aspirin", "Aspirin", "a", " ", "-", "(A)", "胃", "1", "\u200b", "[", "e\u0301"])


@given(st.data())
def test_whatever_the_text_spans_hold(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.lists(words, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=4))
    candidates = []
    for text in texts:
        spans = [(a, b) for a in range(len(text)) for b in range(a + 1, min(len(text), a + 9) + 1) if text[a:b].strip()]
        chosen = data.draw(st.lists(st.sampled_from(spans), max_size=4, unique=True)) if spans else []
        scores = data.draw(st.lists(st.floats(0, 1), min_size=len(chosen), max_size=len(chosen)))
        candidates.append([Mention(a, b, "x", score) for (a, b), score in zip(chosen, scores, strict=True)])
    proposed = DocumentStrings(texts, candidates).repeats()
    together = [[*own, *more] for own, more in zip(candidates, proposed, strict=True)]
    for text, own in zip(texts, together, strict=True):
        assert all(text[m.start : m.end].strip() == text[m.start : m.end] for m in own if not m.written)
        assert len({(m.start, m.end) for m in own}) == len(own)
    again = DocumentStrings(texts, together)
    assert all(math.isfinite(x) for column in again.evidence().values() for x in column)
    assert {len(column) for column in again.evidence().values()} == {sum(map(len, together))}
