"""Whole files, whatever is wrong with them: one more document that is rejected, never an exception."""

import gzip
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_bucket import S3
from s3fs import S3FileSystem

from llmner.documents import Document
from llmner.errors import StorageError
from llmner.sources import read_file
from llmner.sources.fields import FieldMap
from llmner.sources.files import SourceFile, find_files


def articles(numbers: range) -> bytes:
    records = (
        f"<PubmedArticle><MedlineCitation><PMID Version='1'>{i}</PMID><Article><ArticleTitle>Title {i}</ArticleTitle>"
        "</Article></MedlineCitation></PubmedArticle>\n"
        for i in numbers
    )
    return f"<PubmedArticleSet>{''.join(records)}</PubmedArticleSet>".encode()


def read(path: Path | str) -> list[Document]:
    (file,) = find_files([str(path)])
    return list(read_file(file))


def failure(documents: list[Document], file: Path | str, *, after: int = 0) -> str:
    """The message of the one document that stands for the file or its rest."""
    *good, last = documents
    assert len(good) == after
    assert not any(d.error for d in good)
    assert last.error is not None
    assert (last.source, last.source_id, last.source_file, last.text) == ("file", str(file), str(file), "")
    return f"{type(last.error).__name__}: {last.error}"


def test_each_format(tmp_path: Path) -> None:
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress(articles(range(3))))
    (tmp_path / "b.jsonl").write_text('{"id": 10, "text": "Ten"}\n')
    pq.write_table(pa.table({"id": [20], "text": ["Twenty"]}), tmp_path / "c.parquet")
    documents = [d for file in find_files([str(tmp_path)]) for d in read_file(file)]
    assert [(d.source, d.source_id, d.text) for d in documents] == [
        ("pubmed", "0", "Title 0"),
        ("pubmed", "1", "Title 1"),
        ("pubmed", "2", "Title 2"),
        ("jsonl", "10", "Ten"),
        ("parquet", "20", "Twenty"),
    ]
    assert [Path(d.source_file).name for d in documents] == ["a.xml.gz"] * 3 + ["b.jsonl", "c.parquet"]


def test_fields_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"no": 1, "body": "Text"}\n')
    (file,) = find_files([str(tmp_path)])
    assert [d.text for d in read_file(file, FieldMap(id="no", text="body"))] == ["Text"]


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.xml.gz"
    content = articles(range(20000))
    packed = gzip.compress(content)
    path.write_bytes(packed[: len(packed) // 2])
    *good, last = read(path)
    assert len(good) > 5000
    assert [d.source_id for d in good] == [str(i) for i in range(len(good))]
    assert failure([last], path).startswith(f"TruncatedFileError: {path}: the gzip data end in the middle")


def test_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(articles(range(3))))
    (tmp_path / "a.xml.gz.md5").write_text(f"MD5(a.xml.gz)= {hashlib.md5(b'other').hexdigest()}\n")
    assert failure(read(path), path).startswith("ChecksumError: ")
    (tmp_path / "a.xml.gz.md5").write_text(f"MD5(a.xml.gz)= {hashlib.md5(path.read_bytes()).hexdigest()}\n")
    assert len(read(path)) == 3


@pytest.mark.parametrize("name", ["a.xml", "a.xml.gz", "a.jsonl"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert failure(read(path), path).startswith(f"InputError: {path}: the file is empty")


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    for name in ("a.xml", "a.parquet"):
        path = tmp_path / name
        path.write_text("<html>Service unavailable</html>")
        assert failure(read(path), path).startswith(f"InputError: {path}: ")


def test_a_file_that_went_away(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    file = SourceFile(str(path), "parquet", 1, "")
    assert failure(list(read_file(file)), path).startswith(f"InputNotFoundError: {path}: no such file")


def test_the_rest_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1"], "body": ["t"]}), path)
    assert "no column 'text'" in failure(read(path), path)


def test_s3(s3: S3) -> None:
    url = s3.put("pubmed/a.xml.gz", gzip.compress(articles(range(3))))
    assert [d.source_id for d in read(url)] == ["0", "1", "2"]
    (file,) = find_files([url])
    s3.require_permission()
    assert failure(list(read_file(file)), url).startswith("AccessError: ")


class Overloaded(BaseHTTPRequestHandler):
    """A store that answers each request with a server error."""

    def do_GET(self) -> None:
        self.send_error(503)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_storage_that_fails_in_passing_raises(
    s3: S3, monkeypatch: pytest.MonkeyPatch, answers: bool, name: str
) -> None:
    (file,) = find_files([s3.put(name, b"{}")])
    with ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port if answers else 9}")
        monkeypatch.setattr(S3FileSystem, "retries", 1)
        S3FileSystem.clear_instance_cache()  # an instance knows the endpoint that it was made with
        with pytest.raises(StorageError) as e:
            list(read_file(file))
        server.shutdown()
    S3FileSystem.clear_instance_cache()
    assert e.value.retryable
