"""The tables of the graph against an independent, simple computation."""

from collections import Counter
from itertools import combinations
from math import log, log2
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from papers import make_lexicon, make_nights
from small_dataset import Document, commit

from llmner.graph.build import Cutoffs
from llmner.graph.relations import CO_OCCURS, CONCEPTS, DOCUMENTS, MENTIONS, NESTED_IN
from llmner.graph.snapshot import open_rows

ALL = Cutoffs(1, float("-inf"))


def tables(uri: str, cutoffs: Cutoffs = ALL) -> dict[str, list[tuple]]:
    with open_rows(uri, uri, cutoffs, memory="1GB") as rows:
        relations = (DOCUMENTS, CONCEPTS, MENTIONS, CO_OCCURS, NESTED_IN)
        return {r.name: rows.connection.execute(rows.rows(r)).fetchall() for r in relations}


@pytest.fixture
def nights(tmp_path: Path) -> str:
    uri = str(tmp_path / "set")
    make_nights(uri, make_lexicon(tmp_path), 1)
    return uri


def test_nodes(nights: str) -> None:
    found = tables(nights)
    assert found["documents"][0] == (
        "PMID:101",
        'Beta-blockers in hypertension, "old" | new or not',
        2020,
        "en",
        "pubmed",
        "101",
        1,
    )
    assert [row[0] for row in found["documents"]] == [*(f"PMID:{i}" for i in range(101, 106)), "document:jsonl.zh%2F1"]
    concepts = {row[0]: row[1:] for row in found["concepts"]}
    assert concepts["MESH:D006973"] == ("Hypertension", "disease", "mesh", 2)
    assert concepts["MESH:D008687"] == ("Metformin", "chemical", "mesh", 3)
    assert concepts["unlinked:disease.zzyzxitis"] == ("zzyzxitis", "disease", None, 1)


def test_mentions_have_count_first_offset_and_scores(nights: str) -> None:
    found = {row[:2]: row[2:] for row in tables(nights)["mentions"]}
    start = len('Beta-blockers in hypertension, "old" | new\tor not') + 1
    assert found["PMID:101", "MESH:D011433"] == (2, start, 0.9, 0.98, False)
    assert found["PMID:104", "MESH:D000544"] == (1, 2, 0.9, 0.49, True)
    assert found["PMID:104", "MESH:D003139"] == (1, 2, 0.9, 0.49, True)
    assert found["PMID:104", "unlinked:disease.zzyzxitis"] == (1, 12, 0.9, None, False)


def test_nested_concepts_are_nested_and_do_not_occur_together(nights: str) -> None:
    found = tables(nights)
    assert found["nested_in"] == [("MESH:D009369", "MESH:D001943", 1, 1)]
    pairs = {row[:2] for row in found["co_occurs"]}
    assert ("MESH:D001943", "MESH:D009369") not in pairs
    assert ("MESH:D003920", "MESH:D009369") in pairs


def test_ambiguous_mentions_occur_together_with_nothing(nights: str) -> None:
    assert not any("MESH:D000544" in row[:2] or "MESH:D003139" in row[:2] for row in tables(nights)["co_occurs"])


def test_cutoffs(nights: str) -> None:
    both = {row[:2]: row for row in tables(nights)["co_occurs"]}
    twice = {row[:2]: row for row in tables(nights, Cutoffs(2, float("-inf")))["co_occurs"]}
    likely = {row[:2]: row for row in tables(nights, Cutoffs(1, 4.0))["co_occurs"]}
    assert twice == {key: row for key, row in both.items() if row[2] >= 2}
    assert likely == {key: row for key, row in both.items() if row[4] >= 4.0}
    assert 0 < len(twice) < len(both)
    assert 0 < len(likely) < len(both)


WORDS = ("asthma", "fever", "cough", "pain")
SENTENCES = st.lists(st.sets(st.sampled_from(WORDS)), min_size=1, max_size=3)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SENTENCES, min_size=1, max_size=8))
def test_co_occurrence_is_what_counting_gives(tmp_path_factory: pytest.TempPathFactory, corpus: list) -> None:
    uri = str(tmp_path_factory.mktemp("corpus"))
    documents = []
    for number, sentences in enumerate(corpus):
        text = " ".join(f"The {' and '.join(sorted(words))} persisted today." for words in sentences)
        found = [(word, "Disease") for words in sentences for word in sorted(words)]
        documents.append(Document(str(number), text, found))
    commit(uri, "one", documents)

    expected = {}
    in_documents = [set().union(*sentences) for sentences in corpus]
    in_sentences = [words for sentences in corpus for words in sentences]
    for a, b in combinations(sorted(WORDS), 2):
        together = _measures(in_documents, a, b)
        if together[0]:
            expected[f"unlinked:disease.{a}", f"unlinked:disease.{b}"] = (*together, *_measures(in_sentences, a, b))
    found = {row[:2]: row[2:] for row in tables(uri)["co_occurs"]}
    assert found.keys() == expected.keys()
    for pair, figures in expected.items():
        for ours, theirs in zip(found[pair], figures, strict=True):
            assert ours == theirs if theirs is None else ours == pytest.approx(theirs, rel=0.006, abs=0.006)


def _measures(units: list[set[str]], a: str, b: str) -> tuple[int, float | None, float | None]:
    """How many units hold both, PMI and signed log-likelihood ratio, from the four counts."""
    counts = Counter((a in unit, b in unit) for unit in units)
    total, both = len(units), counts[True, True]
    if not both:
        return 0, None, None
    of_a, of_b = both + counts[True, False], both + counts[False, True]
    ratio = 0.0
    for (has_a, has_b), observed in counts.items():
        expected = (of_a if has_a else total - of_a) * (of_b if has_b else total - of_b) / total
        ratio += 2 * observed * log(observed / expected)
    return both, log2(both * total / (of_a * of_b)), ratio if both * total >= of_a * of_b else -ratio
