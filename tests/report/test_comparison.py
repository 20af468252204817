"""Two data sets of the same documents: what they agree on, and every kind of difference with an example."""

from pathlib import Path

import lxml.html
import pytest
from small_dataset import Document, commit

import llmner
from llmner.report.comparison import Comparison, OfType, compare, comparison_page

TEXT = "Severe acute gout after <b>aspirin</b> and warfarin."


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("compared")
    same = Document("9", "Fever.", [("Fever", "Disease")])
    first, second = str(folder / "first"), str(folder / "second")
    found = [("acute gout", "Disease"), ("aspirin", "Chemical"), ("warfarin", "Chemical")]
    commit(first, "one", [Document("1", TEXT, found), same, Document("2", "Old text."), Document("3", "Gone.")])
    found = [("Severe acute gout", "Disease"), ("aspirin", "Disease"), ("b", "Chemical")]
    commit(second, "one", [Document("1", TEXT, found), same, Document("2", "New text."), Document("4", "Here.")])
    return compare(llmner.open_dataset(first), llmner.open_dataset(second))


def test_only_documents_with_the_same_text_are_compared(comparison: Comparison) -> None:
    assert comparison.documents == {"same": 2, "changed": 1, "first": 1, "second": 1}
    assert comparison.types == [
        OfType("bc5cdr", "Disease", 2, 3, 1),
        OfType("bc5cdr", "Chemical", 2, 1, 0),
    ]
    assert comparison.all == OfType("", "all", 4, 4, 1)
    assert comparison.all.agreement == 0.25


def test_each_kind_of_difference_has_an_example(comparison: Comparison) -> None:
    assert comparison.kinds == {"boundary": 1, "type": 1, "missed": 1, "spurious": 1}
    examples = {kind: [(d.document, d.mistake.span) for d in own] for kind, own in comparison.examples.items()}
    assert examples == {
        "boundary": [("pubmed 1", (0, 17))],
        "type": [("pubmed 1", (27, 34))],
        "missed": [("pubmed 1", (43, 51))],
        "spurious": [("pubmed 1", (25, 26))],
    }


def test_the_page_shows_both_sides(comparison: Comparison) -> None:
    root = lxml.html.document_fromstring(comparison_page(comparison))
    [boundary] = [s for s in root.iter("section") if s.findtext("h2") == "Examples: other boundary"]
    [row] = boundary.xpath(".//tbody/tr")
    assert [[(m.get("class"), m.text) for m in cell.iter("mark")] for cell in row] == [
        [],
        [("gold", "acute gout")],
        [("predicted", "Severe acute gout")],
    ]
    assert [cell.text_content() for cell in row][1] == f"{TEXT} Disease"


def test_a_data_set_is_like_itself(tmp_path: Path) -> None:
    uri = str(tmp_path / "entities")
    commit(uri, "one", [Document("1", TEXT, [("aspirin", "Chemical")])])
    commit(uri, "two", [Document("1", TEXT, [("aspirin", "Disease")])])
    older, newer = llmner.open_dataset(uri, commit=1), llmner.open_dataset(uri)
    same = compare(newer, newer)
    assert (same.kinds, same.examples, same.made_with, same.all.agreement) == ({}, {}, [], 1.0)
    assert compare(older, newer).kinds == {"type": 1}
    assert comparison_page(same)
