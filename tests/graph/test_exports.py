"""Exports read back by those who will load them: a graph database, an RDF store, the Biolink model, a BioC library."""

import csv
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bioc
import boto3
import duckdb
import pyarrow.parquet as pq
import pyoxigraph
import pytest
import yaml
from bioc import pubtator
from biolink_model.datamodel import pydanticmodel_v2 as biolink
from papers import make_lexicon, make_nights

from llmner import storage
from llmner.errors import ConfigError, DatasetError
from llmner.graph import ladybug
from llmner.graph.build import Cutoffs
from llmner.graph.check import check
from llmner.graph.export import Exported, export
from llmner.graph.relations import RELATIONS

ALL = Cutoffs(1, 0)

Export = Callable[..., Path]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of one commit, linked."""
    folder = tmp_path_factory.mktemp("nights")
    make_nights(str(folder / "set"), make_lexicon(folder), 1)
    return str(folder / "set")


@pytest.fixture
def exported(nights: str, tmp_path: Path) -> Export:
    def run(format: str, **options: object) -> Path:
        out = tmp_path / format
        result = export(format, nights, str(out), cutoffs=ALL, **options)  # type: ignore[arg-type]
        assert isinstance(result, Exported)
        assert check(str(out)) == []
        return out

    return run


@pytest.mark.parametrize("parquet", [False, True])
def test_a_graph_database_answers_what_a_join_answers(exported: Export, tmp_path: Path, parquet: bool) -> None:
    out = exported("neo4j", parquet=parquet)
    file = tmp_path / "graph.lbdb"
    assert ladybug.load(str(out), file) == 1
    suffix = "parquet" if parquet else "csv"
    tables = {r.name: f"(FROM '{out}/{r.name}.{suffix}' t({', '.join(r.columns)}))" for r in RELATIONS}

    neighbours = "MATCH (a:Concept {name: 'Hypertension'})-[e:CO_OCCURS_WITH]-(b:Concept) RETURN b.name, e.documents"
    joined = f"""
        SELECT b.name, e.documents FROM {tables["co_occurs"]} e JOIN {tables["concepts"]} a ON a.name = 'Hypertension'
        JOIN {tables["concepts"]} b
            ON (e.subject, e.object) = (a.id, b.id) OR (e.object, e.subject) = (a.id, b.id)"""
    assert _same(file, neighbours, joined) == [
        ("Asthma", 1),
        ("Diabetes Mellitus", 1),
        ("Metformin", 1),
        ("Propranolol", 2),
    ]

    papers = """MATCH (a:Concept {name: 'Metformin'})<-[:MENTIONS]-(d:Document)-[:MENTIONS]->
        (b:Concept {name: 'Diabetes Mellitus'}) RETURN d.id"""
    joined = f"""
        SELECT m.subject FROM {tables["mentions"]} m JOIN {tables["concepts"]} c ON c.id = m.object
        WHERE c.name IN ('Metformin', 'Diabetes Mellitus') GROUP BY m.subject HAVING count(*) = 2"""
    assert _same(file, papers, joined) == [("PMID:102",), ("PMID:103",)]

    hops = """MATCH (a:Concept {name: 'Asthma'})-[:CO_OCCURS_WITH]-(b:Concept)-[:CO_OCCURS_WITH]-(c:Concept)
        WHERE c.id <> a.id RETURN DISTINCT b.name, c.name"""
    pairs = tables["co_occurs"]
    both_ways = f"(SELECT subject x, object y FROM {pairs} UNION ALL SELECT object, subject FROM {pairs})"
    joined = f"""
        SELECT DISTINCT b.name, c.name FROM {tables["concepts"]} a JOIN {both_ways} p ON p.x = a.id
        JOIN {both_ways} q ON q.x = p.y AND q.y <> a.id JOIN {tables["concepts"]} b ON b.id = p.y
        JOIN {tables["concepts"]} c ON c.id = q.y WHERE a.name = 'Asthma'"""
    assert ("Hypertension", "Propranolol") in _same(file, hops, joined)

    titles = dict(ladybug.query(file, "MATCH (d:Document) RETURN d.id, d.title")[1])
    assert titles["PMID:101"] == 'Beta-blockers in hypertension, "old" | new or not'
    assert titles["document:jsonl.zh%2F1"] == "一项研究"
    assert titles["PMID:102"] is None


def _same(file: Path, cypher: str, sql: str) -> list[tuple]:
    found = sorted(map(tuple, ladybug.query(file, cypher)[1]))
    assert found == sorted(duckdb.sql(sql).fetchall())
    return found


def test_neo4j_headers_and_script(exported: Export) -> None:
    out = exported("neo4j")
    with (out / "mentions.csv").open(encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream)) == [
            ":START_ID(Document)",
            ":END_ID(Concept)",
            "count:long",
            "start:int",
            "score:double",
            "link_score:double",
            "ambiguous:boolean",
        ]
    script = (out / "import.sh").read_text()
    named = [part.partition("=")[2].split("=")[1] for part in script.split() if part.startswith(("--nodes", "--rel"))]
    assert sorted(named) == sorted(path.name for path in out.glob("*.csv"))
    assert subprocess.run(["sh", "-n", out / "import.sh"], check=False).returncode == 0


def test_the_same_graph_gives_the_same_files(nights: str, tmp_path: Path) -> None:
    for format in ("kgx", "neo4j", "rdf", "pubtator", "bioc", "biocypher"):
        for name in ("a", "b"):
            export(format, nights, str(tmp_path / name), cutoffs=ALL)
        files = sorted(path.name for path in (tmp_path / "a").iterdir())
        assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_the_biolink_model_accepts_every_record(exported: Export) -> None:
    out = exported("kgx")
    nodes = [json.loads(line) for line in (out / "nodes.jsonl").read_text().splitlines()]
    edges = [json.loads(line) for line in (out / "edges.jsonl").read_text().splitlines()]
    for record in nodes + edges:
        getattr(biolink, record["category"][0].removeprefix("biolink:"))(**record)
    assert {node["category"][0] for node in nodes} == {
        "biolink:Publication",
        "biolink:Disease",
        "biolink:ChemicalEntity",
    }
    assert {edge["predicate"] for edge in edges} == {
        "biolink:mentions",
        "biolink:occurs_together_in_literature_with",
        "biolink:related_to",
    }
    with (out / "edges.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["id"] for row in rows] == [edge["id"] for edge in edges]
    assert "|" not in (out / "nodes.tsv").read_text()
    with pytest.raises(ValueError, match="knowledge_level"):  # the model does look
        biolink.Association(**{**edges[0], "category": ["biolink:Association"], "knowledge_level": "guess"})


def test_an_rdf_store_answers(exported: Export) -> None:
    out = exported("rdf")
    store = pyoxigraph.Store()
    for file in ("graph.nq", "provenance.nq"):
        store.bulk_load(path=out / file, format=pyoxigraph.RdfFormat.N_QUADS)
    query = """
        PREFIX nif: <http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#>
        PREFIX its: <http://www.w3.org/2005/11/its/rdf#>
        PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
        SELECT ?document ?begin ?text WHERE { GRAPH ?g {
            ?concept rdfs:label "Propranolol" . ?mention its:taIdentRef ?concept ; nif:referenceContext ?document ;
            nif:beginIndex ?begin ; nif:anchorOf ?text } } ORDER BY ?document ?begin"""
    found = [(r["document"].value, int(r["begin"].value), r["text"].value) for r in store.query(query)]
    start = len('Beta-blockers in hypertension, "old" | new\tor not') + 1
    assert found == [
        ("http://www.ncbi.nlm.nih.gov/pubmed/101", start, "Propranolol"),
        ("http://www.ncbi.nlm.nih.gov/pubmed/101", start + 63, "propranolol"),
        ("http://www.ncbi.nlm.nih.gov/pubmed/102", 0, "Propranolol"),
    ]
    papers = """SELECT ?d WHERE { GRAPH ?g { ?d <urn:llmner:mentions> <http://id.nlm.nih.gov/mesh/D008687> ,
        <http://id.nlm.nih.gov/mesh/D003920> } } ORDER BY ?d"""
    assert [r["d"].value.rpartition("/")[2] for r in store.query(papers)] == ["102", "103"]
    assert len(store) == len((out / "graph.nq").read_text().splitlines()) + 2


def test_bioc_and_pubtator_are_read_back_with_the_same_annotations(exported: Export) -> None:
    xml = bioc.biocxml.load(str(exported("bioc") / "documents.xml"))
    from_xml = {
        (document.id, a.locations[0].offset, a.text, a.infons["type"], a.infons.get("identifier", "-"))
        for document in xml.documents
        for passage in document.passages
        for a in passage.annotations
    }
    with (exported("pubtator") / "documents.pubtator").open(encoding="utf-8") as stream:
        documents = pubtator.load(stream)
    from_pubtator = {(d.pmid, a.start, a.text, a.type, a.id) for d in documents for a in d.annotations}
    for document in documents:
        text = f"{document.title} {document.abstract}"
        assert all(text[a.start : a.end] == a.text for a in document.annotations)
    assert from_xml == from_pubtator
    assert len(from_xml) == 16
    assert ("104", 2, "cold", "Disease", "MESH:D000544;MESH:D003139") in from_xml
    assert ("document:jsonl.zh%2F1", 5, "二甲双胍", "dru", "MESH:D008687") in from_xml


def test_a_mention_across_the_titles_border_keeps_its_place(tmp_path: Path) -> None:
    from small_dataset import Document, commit

    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", "failure\x0bkills.\nOften", [("heart failure", "Disease")], title="On heart")])
    for format in ("bioc", "pubtator"):
        export(format, uri, str(tmp_path / format), cutoffs=ALL)
        assert check(str(tmp_path / format)) == []
    [document] = bioc.biocxml.load(str(tmp_path / "bioc" / "documents.xml")).documents
    assert [p.text for p in document.passages] == ["On heart failure kills.\nOften"]


def test_the_biocypher_adapter_yields_nodes_and_edges(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    out = exported("biocypher")
    monkeypatch.syspath_prepend(str(out))
    adapter = importlib.import_module("adapter").Adapter()
    sys.modules.pop("adapter")
    schema = yaml.safe_load((out / "schema_config.yaml").read_text())
    inputs = {entry["input_label"]: entry for entry in schema.values()}
    nodes = {id: (label, row) for id, label, row in adapter.nodes()}
    assert nodes["MESH:D001249"][0] == "concepts"
    for label, row in nodes.values():
        assert set(row) == set(inputs[label]["properties"])
    edges = list(adapter.edges())
    assert all(subject in nodes and object in nodes for _, subject, object, _, _ in edges)
    assert len({id for id, *_ in edges}) == len(edges)
    assert pq.read_table(out / "mentions.parquet").num_rows == sum(label == "mentions" for *_, label, _ in edges)


def test_from_and_to_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="exports")
    make_nights("s3://exports/set", make_lexicon(tmp_path), 1)
    for format in ("neo4j", "bioc"):
        for _ in range(2):  # the second takes the first one's place
            export(format, "s3://exports/set", f"s3://exports/{format}", cutoffs=ALL)
        assert check(f"s3://exports/{format}") == []
    lines = (storage.read_bytes("s3://exports/neo4j/documents.csv") or b"").decode().splitlines()
    assert len(lines) == 7


def test_a_folder_with_something_else_is_left_alone(nights: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="there is something else in this folder"):
        export("kgx", nights, str(tmp_path), cutoffs=ALL)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(DatasetError, match="no export here"):
        check(str(tmp_path))


def test_what_cannot_be_loaded_is_refused(exported: Export, tmp_path: Path) -> None:
    out, file = exported("neo4j"), tmp_path / "graph.lbdb"
    with pytest.raises(ConfigError, match="no such database"):
        ladybug.query(file, "RETURN 1")
    with (out / "mentions.csv").open("a") as stream:
        stream.write("PMID:101,MESH:D999999,1,0,0.9,,false\n")
    with pytest.raises(DatasetError, match="D999999"):
        ladybug.load(str(out), file)
    assert not file.exists()
    ladybug.load(str(exported("neo4j")), file)
    with pytest.raises(ConfigError, match="there is a database already"):
        ladybug.load(str(out), file)
    with pytest.raises(ConfigError, match="CREATE"):
        ladybug.query(file, "CREATE (:Concept {id: 'x'})")
    with pytest.raises(ConfigError, match="an export for kgx"):
        ladybug.load(str(exported("kgx")), tmp_path / "other.lbdb")
