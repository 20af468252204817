"""Storage on a disk, over HTTP and on S3: literal paths, no credentials in URIs, errors that say what they are."""

import errno
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from llmner import storage
from llmner.errors import AccessError
from llmner.sources.files import find_files
from llmner.sources.opening import verify_checksum

SECRET = "wJalrXUtnFEMI"


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{SECRET}@bucket/in.jsonl",
        f"ftp://me:{SECRET}@host/in.jsonl",
        f"https://host/in.jsonl?X-Amz-Date=1&X-Amz-Signature={SECRET}",
        f"https://host/in.jsonl?sv=1&sig={SECRET}#part",
        f"https://host/in.jsonl?access_token={SECRET}",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AccessError, match="credentials in the URI") as e:
        find_files([uri])
    assert SECRET not in str(e.value) + caplog.text
    with pytest.raises(AccessError, match="credentials in the URI"):
        storage.write_whole(uri, b"x")


@pytest.mark.parametrize("uri", ["s3://bucket/a@b", "https://host/a@b/x?page=2&year=2019", "/in/a@b?sig=1"])
def test_other_uris_are_not(uri: str) -> None:
    assert storage.file_system(uri)[1].endswith(uri.partition("://")[2].removeprefix("bucket/") or uri)


def test_on_s3_nothing_is_removed_or_moved_by_a_pattern(bucket: str) -> None:
    names = ["out1/a", "out[1]/a", "out?/a", "out*/a"]
    for name in names:
        storage.write_whole(f"s3://{bucket}/{name}", name.encode())
    storage.remove(f"s3://{bucket}/out[1]")
    storage.remove(f"s3://{bucket}/out*")
    storage.remove(f"s3://{bucket}/out")
    storage.move(f"s3://{bucket}/out?/a", f"s3://{bucket}/out?/b")
    fs, path = storage.arrow_file_system(f"s3://{bucket}/out?/b")
    fs.move(path, path.replace("/b", "/c"))
    left = {o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert left == {"out1/a", "out?/c"}
    fs.delete_file(path.replace("/b", "/c"))
    assert storage.list_sizes(f"s3://{bucket}/out1") == {"a": 6}


@pytest.mark.parametrize("place", ["disk", "s3"])
def test_a_file_is_created_once(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = f"{tmp_path}/new" if place == "disk" else f"s3://{request.getfixturevalue('bucket')}/new"
    assert storage.write_new(uri, b"mine")
    assert not storage.write_new(uri, b"theirs")
    assert storage.read_bytes(uri) == b"mine"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_that(number: int) -> None:
    with pytest.raises(AccessError, match="the disk is full") as e, storage.access("/out"):
        raise OSError(number, "no room")
    assert not e.value.retryable


@pytest.fixture
def forbidding() -> Iterator[str]:
    """A server that allows to read one file, and to know of no other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.endswith(("a.jsonl", "b.jsonl")) else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_checksum_file_that_may_not_be_seen_is_none_and_told_once(
    forbidding: str, caplog: pytest.LogCaptureFixture
) -> None:
    verify_checksum(f"{forbidding}/folder/a.jsonl")
    verify_checksum(f"{forbidding}/folder/b.jsonl")
    assert caplog.text.count("no permission to see .md5 files") == 1
    with pytest.raises(AccessError, match="no permission"):
        storage.read_bytes(f"{forbidding}/secret")
