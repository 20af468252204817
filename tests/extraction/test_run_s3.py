"""Whole jobs with input and output on a real S3 API over HTTP."""

import io
import os
from pathlib import Path

import boto3
import pytest
from capital_words import run
from corpora import documents, mentions, pubmed_xml, text, write_jsonl
from ray.cloudpickle import CloudPickler
from s3fs import S3FileSystem

from llmner import storage
from llmner.config import JobConfig
from llmner.dataset.reading import open_committed
from llmner.errors import AccessError, DatasetError

pytestmark = pytest.mark.usefixtures("cluster")


def job(inputs: str, output: str, **more: object) -> JobConfig:
    values = {"inputs": [inputs], "output": output, "tag": {"rows_per_call": 8}, "documents_per_file": 10, **more}
    return JobConfig.model_validate(values)


def test_a_job_on_s3_gives_what_it_gives_on_a_disk(bucket: str, corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(30)])
    (corpus / "b.xml").write_text(pubmed_xml(range(10)))
    client = boto3.client("s3")
    for file in corpus.iterdir():
        client.upload_file(str(file), bucket, f"in/{file.name}")
    result = run(job(f"s3://{bucket}/in/", f"s3://{bucket}/out"))
    assert result.manifest.counts["documents"] == 40
    run(job(str(corpus), str(tmp_path / "out")))
    there, here = documents(f"s3://{bucket}/out"), documents(str(tmp_path / "out"))
    for row in (*there, *here):
        row["source_file"] = row["source_file"].rpartition("/")[2]
    assert there == here
    assert mentions(f"s3://{bucket}/out") == mentions(str(tmp_path / "out"))
    assert run(job(f"s3://{bucket}/in/", f"s3://{bucket}/out")).already_done
    keys = [o["Key"] for o in client.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]]
    names = [f.name for f in result.manifest.files]
    batch = result.batch.name
    assert sorted(keys) == sorted(
        [
            "out/dataset.json",
            "out/commits/00000001.json",
            *(f"out/batches/{batch}/documents/{n}" for n in names),
            *(f"out/mentions/batch={batch}/{n}" for n in names),
        ]
    )


def test_a_secret_is_neither_stored_nor_logged_nor_sent(
    bucket: str, corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[bytes] = []

    class NotingPickler(CloudPickler):
        def __init__(self, file: io.BytesIO, *args: object, **options: object) -> None:
            super().__init__(file, *args, **options)
            self._written = file

        def dump(self, obj: object) -> None:
            super().dump(obj)
            sent.append(self._written.getvalue())

    monkeypatch.setattr("ray.cloudpickle.cloudpickle.CloudPickler", NotingPickler)
    monkeypatch.setattr("ray.cloudpickle.cloudpickle.Pickler", NotingPickler)
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(10)])
    client = boto3.client("s3")
    client.upload_file(str(corpus / "a.jsonl"), bucket, "in/a.jsonl")
    with caplog.at_level("DEBUG"):
        run(job(f"s3://{bucket}/in/", f"s3://{bucket}/out"))
    keys = [o["Key"] for o in client.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]]
    stored = [client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    rows = repr([*documents(f"s3://{bucket}/out"), *mentions(f"s3://{bucket}/out")])  # what is compressed in them
    assert any(bucket.encode() in piece for piece in sent), "nothing was noted"
    for piece in (*sent, *stored, rows.encode(), caplog.text.encode()):
        assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in piece


def test_a_path_is_never_a_pattern(bucket: str, corpus: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(10)])
    for name in ("out1", "out[1]", "out?"):
        run(job(str(corpus), f"s3://{bucket}/{name}", batch="b"))
    storage.remove(f"s3://{bucket}/out?")
    storage.remove(f"s3://{bucket}/out[1]/commits")
    left = {o["Key"].partition("/")[0] for o in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert left == {"out1", "out[1]"}
    assert run(job(str(corpus), f"s3://{bucket}/out1", batch="b")).already_done
    run(job(str(corpus), f"s3://{bucket}/out[1]", batch="b"))
    assert documents(f"s3://{bucket}/out[1]") == documents(f"s3://{bucket}/out1")


def test_leftovers_of_a_killed_run_are_neither_read_nor_kept(bucket: str, corpus: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(10)])
    output = f"s3://{bucket}/out"
    folder = f"out/batches/b/documents/{'0' * 22}_{'1' * 32}_000000-0.parquet"
    boto3.client("s3").put_object(Bucket=bucket, Key=folder, Body=b"half a file")
    run(job(str(corpus), output, batch="b"))
    assert len(documents(output)) == 10
    keys = [o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert folder not in keys


def test_no_such_bucket(bucket: str, corpus: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    with pytest.raises(AccessError, match="no such bucket"):
        run(job(str(corpus), "s3://not-there/out"))
    assert "not-there" not in [b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]]
    with pytest.raises(AccessError, match="no such bucket"):
        run(job("s3://not-there/in/a.jsonl", f"s3://{bucket}/out"))
    with pytest.raises(DatasetError, match="no data set here"):
        open_committed(f"s3://{bucket}/out")


def test_no_credentials(bucket: str, corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    S3FileSystem.clear_instance_cache()
    with pytest.raises(AccessError, match="redentials"):
        run(job(str(corpus), f"s3://{bucket}/other"))
    S3FileSystem.clear_instance_cache()
