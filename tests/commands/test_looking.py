"""What people look at, by the commands alone: inspect, report, compare."""

from pathlib import Path

import pytest
from papers import make_lexicon, make_nights
from typer.testing import CliRunner

from llmner.cli import app


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("looked_at")
    make_nights(str(folder / "papers"), make_lexicon(folder))
    return folder / "papers"


def test_documents_on_the_terminal_and_as_a_page(papers: Path, tmp_path: Path) -> None:
    shown = run("inspect", papers, "--query", "breast cancer", "--html", tmp_path / "page.html")
    assert "[breast [cancer|Disease]|Disease] in [diabetes mellitus|Disease]" in shown
    assert "14-27 breast cancer Disease 0.90 MESH:D001943 Breast Neoplasms" in shown
    page = (tmp_path / "page.html").read_text()
    assert "<h1>breast cancer</h1>" in page
    assert 'href="http://id.nlm.nih.gov/mesh/D001943"' in page
    assert "二甲双胍" in run("inspect", papers, "--doc", "zh/1")
    missing = run("inspect", papers, "--doc", "999", "--type", "Gene", code=1)
    assert "commit 3 has no document with identifier 999, type Gene" in missing


def test_a_report_lies_in_the_data_set_or_where_it_is_told_to(papers: Path, tmp_path: Path) -> None:
    assert str(papers / "report.html") in run("report", papers)
    assert "Concepts in most documents" in (papers / "report.html").read_text()
    run("report", papers, "--batch", "second", "--output", tmp_path / "second.html")
    assert "MESH:D001241" in (tmp_path / "second.html").read_text()
    assert "no batch" in run("report", papers, "--batch", "tenth", code=1)


def test_two_commits_compared(papers: Path, tmp_path: Path) -> None:
    shown = run("compare", papers, papers, "--first-commit", 1, "--html", tmp_path / "page.html")
    assert "4 documents with the same text in both, 2 with another text" in shown
    assert "bc5cdr │ Disease │ 5 │ 5 │ 5 │ 1.000" in shown
    assert "By type" in (tmp_path / "page.html").read_text()
