"""Each rule of the check refuses an export that was broken by hand, with file, line and reason."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from papers import make_lexicon, make_nights

from llmner.errors import DatasetError
from llmner.graph.build import Cutoffs
from llmner.graph.check import MOST, check
from llmner.graph.export import export


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    uri = str(folder / "set")
    make_nights(uri, make_lexicon(folder), 1)
    for format in ("neo4j", "kgx", "rdf", "pubtator", "bioc", "biocypher"):
        export(format, uri, str(folder / format), cutoffs=Cutoffs(1, 0))
    return folder


BROKEN = [
    ("neo4j", "concepts.csv", "MESH:D001249,Asthma", "MESH:D001249,Asthma, bronchial", "6 fields, the header has 5"),
    ("neo4j", "concepts.csv", "Asthma", '"Asth\nma"', "fields, the header has 5"),
    ("neo4j", "concepts.csv", "Asthma", "Asth\tma", "name holds a separator"),
    ("neo4j", "concepts.csv", "Asthma", "", "name is empty"),
    ("neo4j", "concepts.csv", "name:string", "name", "the header is"),
    ("neo4j", "concepts.csv", "MESH:D001249", "MESH:D001943", "MESH:D001943 is there more than once"),
    ("neo4j", "concepts.csv", "MESH:D001249", "MISH:D001249", "unknown prefix MISH"),
    ("neo4j", "concepts.csv", "MESH:D001249", "D001249", "'D001249' is no identifier"),
    ("neo4j", "documents.csv", ",2020,", ",2020.5,", "year is no whole number: '2020.5'"),
    ("neo4j", "mentions.csv", "0.98", "inf", "link_score is no finite number: 'inf'"),
    ("neo4j", "mentions.csv", "false", "no", "ambiguous is no truth value: 'no'"),
    ("neo4j", "mentions.csv", "PMID:101", "PMID:999", "the edge's end PMID:999 is not among the nodes"),
    ("neo4j", "co_occurs.csv", "MESH:D006973", "MESH:D999", "the edge's end MESH:D999 is not among the nodes"),
    ("kgx", "nodes.jsonl", '"id":"MESH:D001249"', '"id":"MESH:D001943"', "MESH:D001943 is there more than once"),
    ("kgx", "nodes.jsonl", '"category":["biolink:Disease"]', '"category":"biolink:Disease"', "category is no list"),
    ("kgx", "nodes.jsonl", '"name":"cold"', '"name":"cold","size":3', "unknown field size"),
    ("kgx", "nodes.jsonl", '"name":"cold"}', '"name":"cold"', "not a JSON object"),
    ("kgx", "edges.jsonl", '"has_confidence_score":0.9', '"has_confidence_score":Infinity', "no finite number"),
    ("kgx", "edges.jsonl", '"knowledge_level":"text_co_occurrence",', "", "knowledge_level is empty"),
    ("kgx", "edges.tsv", "MESH:D006973", "MESH:D1|MESH:D2", "holds a separator"),
    ("kgx", "nodes.tsv", "Asthma", "Asth\tma", "fields, the header has 4"),
    ("rdf", "graph.nq", "mesh/D001249>", "mesh/D 1249>", "not a quad"),
    ("pubtator", "documents.pubtator", "102\t0\t11", "102\t1\t12", "'Propranolol' is not at 1"),
    ("pubtator", "documents.pubtator", "103|t|", "102|t|", "102 is there more than once"),
    ("bioc", "documents.xml", 'offset="19"', 'offset="20"', "'hypertension' is not where it says"),
    ("bioc", "documents.xml", "</collection>", "", "not XML"),
]


@pytest.mark.parametrize(("format", "file", "old", "new", "reason"), BROKEN)
def test_a_broken_line(exports: Path, tmp_path: Path, format: str, file: str, old: str, new: str, reason: str) -> None:
    out = tmp_path / format
    shutil.copytree(exports / format, out)
    assert check(str(out)) == []
    text = (out / file).read_text(encoding="utf-8")
    assert old in text
    (out / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    if "more than once" in reason:  # the second one is named
        line = text[: text.rindex(new)].count("\n") + 1 if text.rindex(new) > text.index(old) else line
    problems = check(str(out))
    assert [p for p in problems if p.file == file and p.line == line and reason in p.reason], problems


def test_an_rdf_edge_to_nothing(exports: Path, tmp_path: Path) -> None:
    out = tmp_path / "rdf"
    shutil.copytree(exports / "rdf", out)
    lines = (out / "graph.nq").read_text().splitlines(keepends=True)
    gone = next(i for i, line in enumerate(lines) if "D003139> <http://www.w3.org/1999" in line)
    del lines[gone]
    (out / "graph.nq").write_text("".join(lines))
    [problem] = check(str(out))
    assert problem.reason == "the edge's end http://id.nlm.nih.gov/mesh/D003139 is not among the nodes"
    assert "urn:llmner:mentions" in lines[problem.line - 1]


def test_parquet_is_checked_by_row(exports: Path, tmp_path: Path) -> None:
    out = tmp_path / "biocypher"
    shutil.copytree(exports / "biocypher", out)
    table = pq.read_table(out / "mentions.parquet")
    scores = table["score"].to_pylist()
    scores[3] = float("nan")
    place = table.schema.get_field_index("score")
    pq.write_table(table.set_column(place, "score", pa.array(scores)), out / "mentions.parquet")
    assert [(p.file, p.line, p.reason) for p in check(str(out))] == [
        ("mentions.parquet", 4, "score is no finite number: 'nan'")
    ]


def test_prefixes_of_ones_own_and_the_most_that_is_said(exports: Path, tmp_path: Path) -> None:
    out = tmp_path / "kgx"
    shutil.copytree(exports / "kgx", out)
    for file in ("nodes.jsonl", "edges.jsonl", "nodes.tsv", "edges.tsv"):
        (out / file).write_text((out / file).read_text().replace("MESH:", "ACME:"))
    assert {p.reason for p in check(str(out)) if "D001249" in p.reason} == {"ACME:D001249: unknown prefix ACME"}
    assert check(str(out), prefixes=["ACME"]) == []
    line = json.dumps({"id": "x"}) + "\n"
    (out / "nodes.jsonl").write_text(line * (MOST + 50))
    assert len(check(str(out))) == MOST


def test_an_export_that_was_cut_off(exports: Path, tmp_path: Path) -> None:
    out = tmp_path / "kgx"
    shutil.copytree(exports / "kgx", out)
    description = json.loads((out / "export.json").read_text())
    (out / "export.json").write_text(json.dumps({**description, "finished": False}))
    with pytest.raises(DatasetError, match="this export was cut off"):
        check(str(out))
