"""Publications: plain files that hold exactly the view, of which a night rewrites few."""

import hashlib
import sys
from pathlib import Path

import boto3
import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from small_dataset import Document, commit

from llmner import storage
from llmner.dataset.delta import is_delta
from llmner.dataset.files import read_table
from llmner.dataset.published import Publication, publish_view, read_publication
from llmner.dataset.snapshot import open_dataset
from llmner.errors import ConfigError


def rows_of(uri: str, publication: Publication, kind: str) -> list[dict]:
    """The rows of a publication's files."""
    files = [getattr(part, kind) for part in publication.parts if getattr(part, kind)]
    return [row for file in files for row in read_table(storage.join(uri, file)).to_pylist()]


def check(uri: str) -> None:
    ids = [str(number) for number in range(99_990, 100_010)]
    commit(uri, "one", [Document(id, f"Asthma {id}.", [("Asthma", "Disease")]) for id in ids])
    commit(uri, "two", [Document("x/1", "Fever.", source="jsonl")])
    first = publish_view(uri)
    assert [part.range for part in first.parts] == [
        f"jsonl-{hashlib.md5(b'x/1').hexdigest()[:2]}",
        "pubmed-000000",
        "pubmed-000001",
    ]
    assert publish_view(uri) == first
    revised = [Document("100000", "Pain.", [("Pain", "Disease")]), Document("100001", "", status="withdrawn")]
    commit(uri, "three", revised)
    second = publish_view(uri)
    assert read_publication(uri) == second
    assert [a == b for a, b in zip(first.parts, second.parts, strict=True)] == [True, True, False]
    commit(uri, "four", [Document("x/1", "", source="jsonl", status="withdrawn")])
    third = publish_view(uri)
    assert third.parts == second.parts[1:]
    for kind in ("documents", "mentions"):
        view = getattr(open_dataset(uri), kind).to_table().to_pylist()
        published = rows_of(uri, third, kind)
        assert sorted(published, key=str) == sorted(view, key=str)
    left = storage.list_names(storage.join(uri, "published", "documents"))
    assert left == sorted({part.documents.rpartition("/")[2] for part in (*second.parts, *third.parts)})
    assert storage.list_names(storage.join(uri, "published")) == ["00000003.json", "00000004.json"]


def test_a_night_rewrites_what_has_changed(tmp_path: Path) -> None:
    check(str(tmp_path))


def test_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="publications")
    check("s3://publications/set")


def check_delta(uri: str, options: dict[str, str]) -> None:
    """Each publication is a version of two tables that holds exactly its rows, from the first that is asked for on."""
    tables = {kind: storage.join(uri, "published", kind) for kind in ("documents", "mentions")}
    old = {kind: [] for kind in tables}
    for number, revised in enumerate(("Fever", "Pain", "Ague")):
        ids = {"1": revised, "100000": "Flu", "200000": revised}
        documents = [Document(id, f"{word}.", [(word, "Disease")]) for id, word in ids.items()]
        commit(uri, f"night-{number}", documents[number % 2 :])
        publication = publish_view(uri, delta=number == 1)
        assert publish_view(uri) == publication
        for kind, table in tables.items():
            if number == 0:
                assert not is_delta(table)
                continue
            delta = DeltaTable(table, storage_options=options)
            assert delta.version() == number - 1
            view = getattr(open_dataset(uri), kind).to_table().to_pylist()
            assert rows_of_version(table, delta) == sorted(view, key=str)
            if number == 2:
                assert rows_of_version(table, DeltaTable(table, 0, options)) == old[kind]
            old[kind] = sorted(view, key=str)


def rows_of_version(table: str, delta: DeltaTable) -> list[dict]:
    """The rows of the files that a version of a Delta table lists."""
    files = pa.table(delta.get_add_actions())["path"].to_pylist()
    return sorted((row for file in files for row in read_table(storage.join(table, file)).to_pylist()), key=str)


def test_a_delta_table_has_exactly_the_rows_of_a_publication(tmp_path: Path) -> None:
    uri = str(tmp_path / "set's")
    check_delta(uri, {})
    for kind in ("documents", "mentions"):
        table = f"{uri}/published/{kind}"
        assert [said.get("llmner.commit") for said in DeltaTable(table).history()] == ["3", "2"]
        [[rows]] = duckdb.read_parquet(DeltaTable(table).file_uris()).aggregate("count(*)").fetchall()
        expected = getattr(open_dataset(uri), kind).to_table(["source_id", "year"]).to_pylist()
        assert rows == len(expected)
        found = polars.scan_delta(table).select("source_id", "year").collect().to_dicts()
        assert sorted(found, key=str) == sorted(expected, key=str)


def test_delta_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="delta")
    check_delta("s3://delta/set", {"AWS_ALLOW_HTTP": "true"})


def test_without_deltalake_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(str(tmp_path), "one", [Document("1", "Asthma.")])
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ConfigError, match=r"pip install 'llmner\[delta\]'"):
        publish_view(str(tmp_path), delta=True)
    assert read_publication(str(tmp_path)) is None
