"""CMeEE: both ways of counting the end are read; what is broken is told and costs nothing else."""

import json

import pytest
from annotated_texts import annotated, found, pieces, problems
from hypothesis import given
from hypothesis import strategies as st

from llmner.errors import MalformedRecordError, TruncatedFileError
from llmner.mentions import Mention
from llmner.sources.cmeee import read_cmeee

TEXT = "患儿发热，疑似肺炎。"


def entity(start: int, end: int, given: str, type: str = "dis") -> dict:
    return {"start_idx": start, "end_idx": end, "type": type, "entity": given}


@pytest.mark.parametrize("last", [0, 1])
def test_both_versions(last: int) -> None:
    entities = [entity(7, 9 - last, "肺炎"), entity(2, 4 - last, "发热", "sym"), entity(7, 8 - last, "肺", "bod")]
    [document] = read_cmeee(pieces(json.dumps([{"text": TEXT, "entities": entities}])), "folder/dev.json")
    expected = (Mention(2, 4, "sym"), Mention(7, 8, "bod"), Mention(7, 9, "dis"))
    assert found(document) == ("dev-1", TEXT, expected)


def test_what_is_wrong_is_told() -> None:
    entities = [entity(6, 8, "肺炎"), entity(7, 30, "肺炎"), {"start_idx": 1}, "x", entity(7, 8, "肺炎")]
    items = [{"text": TEXT, "entities": entities}, {"text": TEXT}, 7, {"text": TEXT, "entities": []}]
    first, second, third, fourth = read_cmeee(pieces(json.dumps(items)), "dev.json")
    assert first.annotations.mentions == (Mention(7, 9, "dis"),)
    assert "dev.json: document dev-1: dis '肺炎' at [6, 8): the text there is '似肺'" in problems(first)[0]
    assert len(problems(first)) == 4
    assert isinstance(second.error, MalformedRecordError)
    assert "dev.json: record 2 at byte" in str(second.error)
    assert "record 3 at byte" in str(third.error)
    assert found(fourth) == ("dev-4", TEXT, ())


@pytest.mark.parametrize("text", ["[", '[{"text": "x"', "[" * 100_000])
def test_a_list_without_its_end_is_told(text: str) -> None:
    with pytest.raises(TruncatedFileError, match=r"dev\.json"):
        list(read_cmeee(pieces(text), "dev.json"))


@pytest.mark.parametrize("text", ["{}", "rubbish", '["text"]', "[7]"])
def test_what_is_no_text_is_told(text: str) -> None:
    [document] = read_cmeee(pieces(text), "dev.json")
    assert isinstance(document.error, MalformedRecordError)


@given(st.lists(annotated(), max_size=3), st.sampled_from([0, 1]))
def test_round_trip(texts: list, last: int) -> None:
    items = [
        {"text": t, "entities": [entity(m.start, m.end - last, t[m.start : m.end], m.type) for m in mentions]}
        for t, mentions in texts
    ]
    expected = [(f"f-{i}", text, mentions) for i, (text, mentions) in enumerate(texts, 1)]
    assert [found(d) for d in read_cmeee(pieces(json.dumps(items)), "f.json")] == expected
