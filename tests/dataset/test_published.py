"""Publications: plain files that hold exactly the view, of which a night rewrites few."""

import hashlib
from pathlib import Path

import boto3
import duckdb
import pyarrow.parquet as pq
import pytest
from small_dataset import Document, commit

from llmner import storage
from llmner.dataset.files import read_table
from llmner.dataset.published import Publication, publish_view, read_publication
from llmner.dataset.snapshot import open_dataset


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


def test_readers_that_know_nothing_of_commits(tmp_path: Path) -> None:
    commit(str(tmp_path), "one", [Document("1", "Asthma.", [("Asthma", "Disease")]), Document("2", "Fever.")])
    files = [str(tmp_path / part.mentions) for part in publish_view(str(tmp_path)).parts]
    assert duckdb.read_parquet(files).project("source_id, text").fetchall() == [("1", "Asthma")]
    assert pq.ParquetDataset(files).read(columns=["text"]).to_pandas()["text"].tolist() == ["Asthma"]
