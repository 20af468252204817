"""Linking real data sets with real lexicons, here and over S3."""

from pathlib import Path
from typing import Any

import boto3
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from small_dataset import Document, commit

from llmner import storage
from llmner.dataset.links import LINK_SCHEMA, current_links
from llmner.errors import DatasetError, InputNotFoundError
from llmner.linking.lexicon import Name, write_lexicon
from llmner.linking.link import link

NAMES = [
    Name("MESH:D1", "Hypertension", "preferred", "mesh", "disease"),
    Name("MESH:D1", "high blood pressure", "synonym", "mesh", "disease"),
    Name("MESH:D2", "Adrenergic beta-Antagonist", "preferred", "mesh", "chemical"),
    Name("MESH:D3", "cold", "synonym", "mesh", "disease"),
    Name("MESH:D4", "cold", "synonym", "mesh", "disease"),
    Name("MESH:D5", "atrial fibrillation", "preferred", "mesh", "disease"),
    Name("MESH:D6", "alkaline phosphatase", "preferred", "mesh", "chemical"),
    Name("MESH:D7", "lead", "preferred", "mesh", "chemical"),
    Name("MESH:D8", "ischaemic cardiomyopathy", "preferred", "mesh", "disease"),
    Name("MESH:D9", "interferon alpha 2a", "preferred", "mesh", "chemical"),
    Name("MESH:C1", "oldamide", "preferred", "mesh", "chemical", replaced_by="MESH:D10"),
    Name("MESH:D10", "newamide", "preferred", "mesh", "chemical"),
    Name("MONDO:1", "hypertension", "preferred", "mondo"),
    Name("MONDO:2", "sample fever", "preferred", "mondo"),
    Name("HP:1", "Headache", "preferred", "hp"),
    Name("HGNC:1", "CAT", "synonym", "hgnc", "gene"),
    Name("HGNC:2", "CAT", "preferred", "hgnc", "gene"),
]


@pytest.fixture
def lexicon(tmp_path: Path) -> str:
    path = str(tmp_path / "lexicon.parquet")
    write_lexicon(NAMES, path, version="2026")
    return path


def links_of(uri: str) -> dict[str, list[dict[str, Any]]]:
    """Links by the text of their mention."""
    mentions = {m["mention_id"]: m["text"] for m in _rows(f"{uri}/mentions")}
    links = current_links(storage.absolute_uri(uri))
    assert links is not None
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(links.uri):
        found.setdefault(mentions[row["mention_id"]], []).append(row)
    return {text: sorted(rows, key=lambda r: r["rank"]) for text, rows in found.items()}


def _rows(uri: str) -> list[dict[str, Any]]:
    fs, path = storage.arrow_file_system(uri)
    return ds.dataset(path, filesystem=fs, format="parquet", exclude_invalid_files=True).to_table().to_pylist()


def test_the_strictest_step_of_the_first_vocabulary_counts(tmp_path: Path, lexicon: str) -> None:
    text = (
        "Hypertension, HYPERTENSION; beta-blockers: adrenergic beta antagonists. "
        "An ischemic cardiomyopathy. Sample fevers."
    )
    found = [
        ("Hypertension", "Disease"),
        ("HYPERTENSION", "Disease"),
        ("beta-blockers", "Chemical"),
        ("adrenergic beta antagonists", "Chemical"),
        ("ischemic cardiomyopathy", "Disease"),
        ("Sample fevers", "Disease"),
    ]
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", text, found)])
    linked = link(uri, [lexicon])
    links = links_of(uri)
    steps = {text: (rows[0]["concept_id"], rows[0]["step"], rows[0]["source"]) for text, rows in links.items()}
    assert steps == {
        "Hypertension": ("MESH:D1", "exact", "mesh"),
        "HYPERTENSION": ("MESH:D1", "lower", "mesh"),
        "adrenergic beta antagonists": ("MESH:D2", "plural", "mesh"),
        "ischemic cardiomyopathy": ("MESH:D8", "near", "mesh"),
        "Sample fevers": ("MONDO:2", "plural", "mondo"),
    }
    assert (linked.mentions, linked.linked, linked.ambiguous) == (6, 5, 0)
    [row] = links["HYPERTENSION"]
    assert (row["name"], row["kind"], row["version"], row["concept_name"]) == (
        "Hypertension",
        "preferred",
        "2026",
        "Hypertension",
    )
    assert links["Hypertension"][0]["score"] > row["score"] > links["ischemic cardiomyopathy"][0]["score"]


def test_ambiguity_keeps_all_candidates_and_says_so(tmp_path: Path, lexicon: str) -> None:
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", "A cold.", [("cold", "Disease")])])
    assert link(uri, [lexicon]).ambiguous == 1
    rows = links_of(uri)["cold"]
    assert [(r["concept_id"], r["rank"], r["candidates"]) for r in rows] == [("MESH:D3", 1, 2), ("MESH:D4", 2, 2)]
    assert rows[0]["score"] < 0.5


def test_an_approved_symbol_comes_before_another_genes_alias(tmp_path: Path, lexicon: str) -> None:
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", "CAT rose.", [("CAT", "protein")])])
    link(uri, [lexicon])
    assert [(r["concept_id"], r["candidates"], r["kind"]) for r in links_of(uri)["CAT"]] == [("HGNC:2", 1, "preferred")]


def test_types_must_agree_and_digits_are_never_near(tmp_path: Path, lexicon: str) -> None:
    text = "Lead poisons; lead is no disease; interferon alpha 2b is another. Headache hurts."
    found = [("Lead", "Chemical"), ("lead", "Disease"), ("interferon alpha 2b", "Chemical"), ("Headache", "Disease")]
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", text, found), Document("2", "头痛", [("头痛", "sym")], lang="zh")])
    link(uri, [lexicon])
    assert {text: rows[0]["concept_id"] for text, rows in links_of(uri).items()} == {
        "Lead": "MESH:D7",
        "Headache": "HP:1",  # a disease may be a phenotype
    }


def test_an_abbreviation_stands_for_what_its_document_says(tmp_path: Path, lexicon: str) -> None:
    first = Document(
        "1",
        "Patients with atrial fibrillation (AF). AF was common; HT, too.",
        [("atrial fibrillation", "Disease"), ("AF", "Disease"), ("AF", "Disease"), ("HT", "Disease")],
    )
    chinese = Document(
        "2",
        "检测碱性磷酸酶（ALP）。ALP升高。",
        [("碱性磷酸酶", "dru"), ("ALP", "dru"), ("ALP", "dru")],
        source="jsonl",
        lang="zh",
    )
    elsewhere = Document("3", "AF without a definition.", [("AF", "Disease")])
    own = tmp_path / "own.parquet"
    write_lexicon([Name("MESH:D6", "碱性磷酸酶", "synonym", "own", "chemical")], str(own))
    uri = str(tmp_path / "set")
    commit(uri, "one", [first, chinese, elsewhere])
    link(uri, [str(own), lexicon])
    links = links_of(uri)
    assert [(r["concept_id"], r["long_form"]) for r in links["AF"]] == [("MESH:D5", "atrial fibrillation")] * 2
    assert [(r["concept_id"], r["long_form"]) for r in links["ALP"]] == [("MESH:D6", "碱性磷酸酶")] * 2
    assert "HT" not in links


def test_a_retired_identifier_gives_way(tmp_path: Path, lexicon: str) -> None:
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", "Given oldamide.", [("oldamide", "Chemical")])])
    link(uri, [lexicon])
    [row] = links_of(uri)["oldamide"]
    assert (row["concept_id"], row["concept_name"], row["retired_id"]) == ("MESH:D10", "newamide", "MESH:C1")


def test_ones_own_synonyms_come_first_and_make_other_links(tmp_path: Path, lexicon: str) -> None:
    own = tmp_path / "own.parquet"
    write_lexicon([Name("MESH:D99", "hypertension", "synonym", "own", "disease")], str(own))
    uri = str(tmp_path / "set")
    commit(uri, "one", [Document("1", "Hypertension.", [("Hypertension", "Disease")])])
    before = link(uri, [lexicon]).digest
    assert links_of(uri)["Hypertension"][0]["concept_id"] == "MESH:D1"
    after = link(uri, [str(own), lexicon]).digest
    assert links_of(uri)["Hypertension"][0]["concept_id"] == "MESH:D99"
    assert before != after
    assert link(uri, [lexicon]).files == 0  # still there, and current again
    assert links_of(uri)["Hypertension"][0]["concept_id"] == "MESH:D1"


def test_a_night_links_what_is_new_and_a_lost_file_again(tmp_path: Path, lexicon: str) -> None:
    uri = str(tmp_path / "set")
    documents = [Document(str(i), "Hypertension.", [("Hypertension", "Disease")]) for i in range(6)]
    commit(uri, "one", documents[:4], files=2)
    assert link(uri, [lexicon]).files == 2
    commit(uri, "two", documents[4:])
    second = link(uri, [lexicon])
    assert (second.files, second.mentions) == (1, 2)
    lost = next(Path(uri).glob("links/*/batch=one/one-0.parquet"))
    content = lost.read_bytes()
    lost.unlink()
    assert link(uri, [lexicon]).files == 1
    assert lost.read_bytes() == content
    assert pq.read_schema(lost).equals(LINK_SCHEMA, check_metadata=True)


def test_errors_name_what_is_missing(tmp_path: Path, lexicon: str) -> None:
    with pytest.raises(DatasetError, match="no data set here"):
        link(str(tmp_path / "nowhere"), [lexicon])
    commit(str(tmp_path / "set"), "one", [Document("1", "x")])
    with pytest.raises(InputNotFoundError, match="lexicon build"):
        link(str(tmp_path / "set"), [str(tmp_path / "none.parquet")])


def test_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, lexicon: str) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="linking")
    uri = "s3://linking/set"
    commit(uri, "one", [Document("1", "Hypertension.", [("Hypertension", "Disease")])])
    assert link(uri, [lexicon]).linked == 1
    assert links_of(uri)["Hypertension"][0]["concept_id"] == "MESH:D1"
