"""The documents that somebody asks for, and why candidates were dropped."""

import pytest
from small_dataset import Document, commit

import llmner
from llmner.dataset.snapshot import Snapshot
from llmner.linking.lexicon import Name, write_lexicon
from llmner.linking.link import link
from llmner.report.documents import drop_reasons, find_documents
from llmner.selection.competition import Rules

GOUT = Document("1", "Colchicine helps in gout.", [("Colchicine", "Chemical"), ("gout", "Disease")], title="On gout")
FEVER = Document("2", "Aspirin lowers fever.", [("Aspirin", "Chemical"), ("fever", "Disease")])
NOTHING = Document("3", "Nothing was found.", status="empty")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("inspected")
    uri, lexicon = str(folder / "entities"), str(folder / "lexicon.parquet")
    commit(uri, "first", [GOUT, FEVER, NOTHING])
    write_lexicon([Name("MESH:D006073", "Gout", "preferred", "mesh", "disease")], lexicon, version="1")
    link(uri, [lexicon])
    return llmner.open_dataset(uri)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"identifier": "2"}, ["2"]),
        ({"identifier": "4"}, []),
        ({"type": "Chemical"}, ["1", "2"]),
        ({"query": "ASPIR"}, ["2"]),
        ({"query": "MESH:D006073"}, ["1"]),
        ({"query": "aspirin", "type": "Disease"}, []),
        ({"query": "o'clock"}, []),
        ({}, ["1", "2", "3"]),
        ({"identifier": "1", "query": "gout"}, ["1"]),
    ],
)
def test_documents_are_found(snapshot: Snapshot, asked: dict[str, str], found: list[str]) -> None:
    assert sorted(row["source_id"] for row in find_documents(snapshot, **asked)) == found


def test_mentions_come_with_their_concepts(snapshot: Snapshot) -> None:
    (row,) = find_documents(snapshot, identifier="1")
    assert {m["text"]: [c["id"] for c in m["concepts"]] for m in row["mentions"]} == {
        "Colchicine": [],
        "gout": ["MESH:D006073"],
    }
    [gout] = [m for m in row["mentions"] if m["text"] == "gout"]
    assert gout["concepts"][0]["address"] == "http://id.nlm.nih.gov/mesh/D006073"


def test_the_same_documents_come_each_time_those_with_mentions_first(snapshot: Snapshot) -> None:
    orders = {tuple(row["source_id"] for row in find_documents(snapshot)) for _ in range(3)}
    assert len(orders) == 1
    assert orders.pop()[-1] == "3"
    assert len(find_documents(snapshot, most=2)) == 2


def candidate(start: int, end: int, score: float | None, *, kept: bool = False, tag_set: str = "a") -> dict:
    return {"start": start, "end": end, "text": f"{start}-{end}", "type": "T", "tag_set": tag_set} | {
        "selector_score": score,
        "kept": kept,
    }


def test_why_a_candidate_was_dropped() -> None:
    mentions = [
        candidate(0, 9, 0.9, kept=True),
        candidate(4, 9, 0.8),
        candidate(20, 29, 0.3),
        candidate(30, 39, 0.6, tag_set="b"),
        candidate(40, 49, None),
    ]
    reasons = ["", "loses against 0-9 (T, 0.90)", "0.30 is below 0.50", "0.60 is below 0.70", "not kept"]
    rules = Rules(0.5, {"b": 0.7}, {})
    assert drop_reasons(mentions, rules) == reasons
    assert drop_reasons(mentions, None)[1:] == ["not kept"] * 4
    assert Rules.of_parts(rules.parts()) == rules
