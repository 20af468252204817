"""From a data set to a graph that answers, by the commands alone."""

import logging
from pathlib import Path

import pytest
from small_dataset import Document, commit
from typer.testing import CliRunner

from llmner.cli import app
from llmner.commands import progress
from llmner.graph.relations import RELATIONS

LEXICON = "id\tname\ttype\nMESH:D1\thypertension\tdisease\nMESH:D2\tpropranolol\tchemical\n"


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def entities(tmp_path: Path) -> Path:
    found = [("Propranolol", "Chemical"), ("hypertension", "Disease")]
    documents = [Document(str(i), "Propranolol treats hypertension.", found) for i in range(3)]
    commit(str(tmp_path / "entities"), "one", [*documents, Document("9", "Nothing.", status="empty")])
    (tmp_path / "names.tsv").write_text(LEXICON)
    return tmp_path / "entities"


def test_from_mentions_to_an_answer(entities: Path, tmp_path: Path) -> None:
    lexicon, graph, file = tmp_path / "names.parquet", tmp_path / "graph", tmp_path / "graph.lbdb"
    assert "chemical │ 1" in run("lexicon", "build", "--from", "tsv", tmp_path / "names.tsv", lexicon)
    assert "6 of 6 mentions linked (100%), 0 of them ambiguous" in run("link", entities, "--lexicon", lexicon)
    assert "linked with these lexicons already" in run("link", entities, "--lexicon", lexicon)
    shown = run("export", "neo4j", entities, graph, "--min-log-likelihood", "0")
    assert "hypertension │ propranolol │ 3 │ 3 │" in shown
    assert "(commit 1)" in shown
    assert "no problem found" in run("export", "check", graph)
    run("graph", "load", graph, file)
    cypher = "MATCH (:Concept {name: 'hypertension'})<-[:MENTIONS]-(d:Document) RETURN count(*) AS papers"
    assert "papers" in (answer := run("graph", "query", file, cypher))
    assert "│ 3 │" in answer


def test_an_export_tells_how_far_it_is(
    entities: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run("lexicon", "build", "--from", "tsv", tmp_path / "names.tsv", tmp_path / "names.parquet")
    run("link", entities, "--lexicon", tmp_path / "names.parquet")
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "llmner")
    caplog.clear()
    run("export", "kgx", entities, tmp_path / "graph")
    lines = [message.partition(",")[0] for message in caplog.messages if " steps" in message]
    assert lines == [f"{done} of {2 + len(RELATIONS)} steps" for done in range(1, 3 + len(RELATIONS))]


def test_what_is_wrong_is_said_with_the_exit_code(entities: Path, tmp_path: Path) -> None:
    assert "unknown format 'owl'" in run("lexicon", "build", "--from", "owl", "x", tmp_path / "o", code=2)
    assert "no such file" in run("link", entities, "--lexicon", tmp_path / "none.parquet", code=1)
    graph = tmp_path / "graph"
    run("export", "kgx", entities, graph)
    nodes = graph / "nodes.tsv"
    nodes.write_text(nodes.read_text().replace("PMID:0", "PMED:0"))
    assert "nodes.tsv, line 2: PMED:0: unknown prefix PMED" in run("export", "check", graph, code=1)
    assert "no such database" in run("graph", "query", tmp_path / "none", "RETURN 1", code=2)
