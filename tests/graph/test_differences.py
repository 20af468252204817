"""Three nights, exported as differences and loaded one after the other, give the graph of one export of the end."""

import csv
import json
from pathlib import Path

import pyoxigraph
import pytest
from papers import make_lexicon, make_nights

from llmner.errors import ConfigError, DatasetError
from llmner.graph import ladybug
from llmner.graph.build import Cutoffs
from llmner.graph.check import check
from llmner.graph.export import export

ALL = Cutoffs(1, -1e9)

EVERYTHING = [
    "MATCH (d:Document) RETURN d.*",
    "MATCH (c:Concept) RETURN c.*",
    "MATCH (a)-[e:MENTIONS]->(b) RETURN a.id, b.id, e.count, e.start, e.score, e.link_score, e.ambiguous",
    "MATCH (a)-[e:CO_OCCURS_WITH]->(b) RETURN a.id, b.id, e.documents, e.pmi, e.log_likelihood, e.sentences, "
    "e.sentence_pmi, e.sentence_log_likelihood",
    "MATCH (a)-[e:NESTED_IN]->(b) RETURN a.id, b.id, e.count, e.documents",
]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of three commits, linked."""
    folder = tmp_path_factory.mktemp("nights")
    make_nights(str(folder / "set"), make_lexicon(folder))
    return str(folder / "set")


def differences(uri: str, folder: Path, format: str) -> list[Path]:
    """Exports of the nights as they were: each of one commit more, the difference to the one before."""
    outs = []
    for commit in (1, 2, 3):
        out = folder / f"{format}-{commit}"
        since = commit - 1 if commit > 1 else None
        export(format, uri, str(out), commit=commit, since=since, cutoffs=ALL)
        assert check(str(out)) == []
        outs.append(out)
    export(format, uri, str(folder / f"{format}-all"), cutoffs=ALL)
    return [*outs, folder / f"{format}-all"]


def content(file: Path) -> list[list[tuple]]:
    return [sorted(map(tuple, ladybug.query(file, query)[1]), key=repr) for query in EVERYTHING]


def test_a_database(nights: str, tmp_path: Path) -> None:
    *outs, whole = differences(nights, tmp_path, "neo4j")
    file, at_once = tmp_path / "nightly.lbdb", tmp_path / "whole.lbdb"
    assert [ladybug.load(str(out), file) for out in outs] == [1, 2, 3]
    ladybug.load(str(whole), at_once)
    assert content(file) == content(at_once)
    assert all(content(file))  # nothing is equal because it is empty
    with pytest.raises(DatasetError, match=r"a difference to commit 2, the database holds 3"):
        ladybug.load(str(outs[-1]), file)
    with pytest.raises(ConfigError, match="no such database"):
        ladybug.load(str(outs[-1]), tmp_path / "none.lbdb")


def test_kgx(nights: str, tmp_path: Path) -> None:
    *outs, whole = differences(nights, tmp_path, "kgx")
    for name in ("nodes", "edges"):
        held: dict[str, str] = {}
        for out in outs:
            if (out / f"deleted_{name}.jsonl").exists():
                for line in (out / f"deleted_{name}.jsonl").read_text().splitlines():
                    del held[json.loads(line)["id"]]
            held |= {json.loads(line)["id"]: line for line in (out / f"{name}.jsonl").read_text().splitlines()}
        assert sorted(held.values()) == sorted((whole / f"{name}.jsonl").read_text().splitlines())


def test_rdf(nights: str, tmp_path: Path) -> None:
    *outs, whole = differences(nights, tmp_path, "rdf")
    store, at_once = pyoxigraph.Store(), pyoxigraph.Store()
    for out in outs:
        if (out / "deleted.nq").exists():
            for quad in pyoxigraph.parse(path=out / "deleted.nq"):
                assert quad in store
                store.remove(quad)
        store.bulk_load(path=out / "graph.nq")
    at_once.bulk_load(path=whole / "graph.nq")
    assert set(store) == set(at_once)


def test_texts(nights: str, tmp_path: Path) -> None:
    *outs, _ = differences(nights, tmp_path, "pubtator")
    ids = [
        [line.split("|")[0] for line in (out / "documents.pubtator").read_text().splitlines() if "|t|" in line]
        for out in outs
    ]
    assert ids == [["101", "102", "103", "104", "105", "document:jsonl.zh%2F1"], ["102", "106"], ["101", "107"]]


def test_a_difference_has_only_what_changed(nights: str, tmp_path: Path) -> None:
    exported = export("neo4j", nights, str(tmp_path / "d"), since=2, cutoffs=ALL)
    assert exported.written["documents"] == 2
    assert exported.deleted["mentions"] == 3
    with (tmp_path / "d" / "deleted_mentions.csv").open() as stream:
        assert {row["subject"] for row in csv.DictReader(stream)} == {"PMID:101"}
    nothing = export("neo4j", nights, str(tmp_path / "n"), since=3, cutoffs=ALL)
    assert not any(nothing.written.values())
    assert not any(nothing.deleted.values())


def test_what_has_no_difference_is_refused(nights: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="biocypher: --since is not possible"):
        export("biocypher", nights, str(tmp_path / "b"), since=1, cutoffs=ALL)
    with pytest.raises(DatasetError, match="commit 4 is later than 3"):
        export("kgx", nights, str(tmp_path / "k"), since=4, cutoffs=ALL)
