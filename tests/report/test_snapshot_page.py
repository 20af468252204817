"""The page about a data set: what it counts, and that it stands alone."""

import re
from pathlib import Path

import lxml.html
import pytest
from papers import make_lexicon, make_nights
from small_dataset import Document, commit

import llmner
from llmner.annotations import AnnotatedSentence
from llmner.dataset.compact import compact
from llmner.graph.strongest import strongest
from llmner.linking.link import link
from llmner.mentions import Mention
from llmner.report.graph import graph_picture
from llmner.report.selector import judge
from llmner.report.snapshot import snapshot_page

EVIL = "<script>alert(1)</script>"


def read(page: str) -> dict[str, list[list[str]]]:
    """The table of each section by its title, the column names first."""
    root = lxml.html.document_fromstring(page)
    return {
        section.findtext("h2"): [[cell.text_content() for cell in row] for row in section.iter("tr")]
        for section in root.iter("section")
    }


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reported")
    make_nights(str(folder / "papers"), make_lexicon(folder))
    return str(folder / "papers")


def test_a_page_says_what_a_data_set_holds(papers: str) -> None:
    page = snapshot_page(llmner.open_dataset(papers), picture=graph_picture(*strongest(papers)))
    shown = read(page)
    assert list(shown) == [
        "Documents",
        "Languages",
        "Mentions by type",
        "Most frequent texts",
        "Concepts in most documents",
        "Scores",
        "Length of mentions",
        "The last batch beside those before",
    ]
    assert shown["Documents"] == [
        ["source", "files", "ok", "empty"],
        ["pubmed", "1", "7", "2"],
        ["jsonl", "1", "1", "0"],
    ]
    assert shown["Languages"][1:] == [["en", "7", "5", "2020"], ["zh", "1", "1", ""]]
    assert shown["Mentions by type"][1][:4] == ["bc5cdr", "Disease", "9", "5"]
    assert shown["Concepts in most documents"][1][:2] == ["MESH:D001249", "Asthma"]
    assert shown["The last batch beside those before"][1][:4] == ["bc5cdr", "Disease", "1.38", "1.00"]


def test_a_page_of_one_batch_or_of_nothing(papers: str, tmp_path: Path) -> None:
    snapshot = llmner.open_dataset(papers)
    assert read(snapshot_page(snapshot, batch="second"))["Documents"][1] == ["pubmed", "1", "2"]
    with pytest.raises(llmner.errors.DatasetError, match="no batch tenth"):
        snapshot.of_batch("tenth")
    assert list(read(snapshot_page(llmner.open_dataset(papers, commit=0)))) == ["Documents"]


def test_a_page_of_a_batch_that_was_compacted(tmp_path: Path) -> None:
    uri, lexicon = str(tmp_path / "papers"), make_lexicon(tmp_path)
    make_nights(uri, lexicon)
    before = {name: read(snapshot_page(llmner.open_dataset(uri), batch=name)) for name in ("first", "second", "third")}
    compact(uri, keep=1)
    link(uri, [lexicon])
    pages = {name: snapshot_page(llmner.open_dataset(uri), batch=name) for name in before}
    assert read(pages["third"]) == before["third"]
    assert read(pages["second"]) == before["second"], "of which later batches replaced nothing"
    left = read(pages["first"])
    assert (before["first"]["Documents"][1], left["Documents"][1]) == (
        ["pubmed", "1", "4", "1"],
        ["pubmed", "1", "3", "1"],
    )
    assert left["Mentions by type"] != before["first"]["Mentions by type"]
    assert "what later batches replaced of it is not counted any more" in pages["first"]


def test_what_went_wrong_is_shown_and_nothing_is_believed(tmp_path: Path) -> None:
    class Failed(Document):
        def row(self) -> dict:
            error = {"error_class": "TaggingError", "error_message": EVIL, "error_stage": "tag"}
            return {**super().row(), **error}

    uri = str(tmp_path / "entities")
    commit(uri, EVIL.replace("/", "-"), [Failed(str(i), "", status="failed") for i in range(5)])
    commit(uri, "second", [Document("9", f"{EVIL} hurts.", [(EVIL, EVIL)])])
    page = snapshot_page(llmner.open_dataset(uri), price=1.0)
    rows = read(page)["What went wrong"]
    assert rows[1:] == [["TaggingError", "5", f"by hand: {i}", f"{EVIL} tag"] for i in range(3)]
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)
    urls = lxml.html.document_fromstring(page).xpath("//@src | //link/@href | //object/@data | //iframe/@src")
    assert all(url.startswith("data:image/svg+xml;base64,") for url in urls)


def test_gold_annotations_say_whether_scores_are_probabilities(papers: str) -> None:
    snapshot = llmner.open_dataset(papers)
    sentences = [
        AnnotatedSentence("Aspirin in asthma, and zzyzxitis.", (Mention(0, 7, "Chemical"),), "106"),
        AnnotatedSentence("It is not there.", (Mention(0, 2, "Disease"),), "106"),
        AnnotatedSentence("Of no document.", (), "nothing"),
    ]
    judged = judge(snapshot, sentences)
    assert (judged.right, judged.gold, judged.sentences, judged.missing) == ([True, False], 1, 1, 2)
    assert read(snapshot_page(snapshot, judged=judged))["Scores against gold annotations"][1] == ["0.900", "0.500", "2"]
