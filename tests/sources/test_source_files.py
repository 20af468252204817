"""Which files there are, and their bytes: local ones and those on S3 over HTTP."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3_bucket import S3
from s3fs import S3FileSystem

from llmner.errors import (
    AccessError,
    ChecksumError,
    InputError,
    InputNotFoundError,
    LlmnerError,
    StorageError,
    TruncatedFileError,
)
from llmner.sources.files import find_files
from llmner.sources.opening import CHUNK, read_chunks, verify_checksum
from llmner.sources.registry import called


def read(url: str | Path) -> bytes:
    return b"".join(read_chunks(str(url)))


def found(*inputs: str | Path, **options: str) -> list[str]:
    return [f.name for f in find_files([str(i) for i in inputs], **options)]


@pytest.mark.parametrize(
    ("name", "formats"),
    [
        ("pubmed26n0001.xml.gz", ["pubmed", "jats", "bioc"]),
        ("A.XML", ["pubmed", "jats", "bioc"]),
        ("a.jsonl", ["jsonl"]),
        ("a.ndjson.gz", ["jsonl"]),
        ("part-0.parquet", ["parquet"]),
        ("a.parquet.gz", []),
        ("notes.docx", []),
        ("xml", []),
    ],
)
def test_the_name_tells_which_formats_it_may_be(name: str, formats: list[str]) -> None:
    assert [f.name for f in called(name)] == formats


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ["b.xml.gz", "b.xml.gz.md5", "a.jsonl", "sub/deep/c.parquet", "README.md", ".hidden.xml", "_part.xml"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    return tmp_path


def test_a_folder_gives_all_files_below_it_sorted_by_url(folder: Path) -> None:
    files = find_files([str(folder)])
    assert [(f.name, f.format, f.size) for f in files] == [
        ("a.jsonl", "auto", 7),
        ("b.xml.gz", "auto", 7),
        ("c.parquet", "auto", 7),
    ]
    assert [f.url for f in files] == sorted(str(folder / n) for n in ["a.jsonl", "b.xml.gz", "sub/deep/c.parquet"])


def test_patterns_and_files_and_folders_together_give_each_file_once(folder: Path) -> None:
    assert found(folder / "*.gz", folder / "b.xml.gz", folder, folder / "**" / "*.parquet") == [
        "a.jsonl",
        "b.xml.gz",
        "c.parquet",
    ]


def test_a_given_format_holds_for_all_files_that_are_called_so(folder: Path) -> None:
    assert found(folder, format="pubmed") == ["b.xml.gz"]
    (folder / "sub" / "x.dat").touch()
    assert found(folder / "sub" / "*.dat", format="pubmed") == ["x.dat"]
    assert found(folder / "README.md", format="pubmed") == ["README.md"]
    assert [f.format for f in find_files([str(folder)], "jsonl")] == ["jsonl"]


def test_links_to_files_are_files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "target.jsonl"
    target.write_text('{"id": "1", "text": "There."}')
    (folder / "link.jsonl").symlink_to(target)
    (folder / "dangling.jsonl").symlink_to(folder / "nothing.jsonl")
    for inputs in (folder, folder / "l*.jsonl", folder / "link.jsonl"):
        link = next(f for f in find_files([str(inputs)]) if f.name == "link.jsonl")
        assert link.size == 29
        target.write_text('{"id": "1", "text": "There."}')
        os.utime(target, (1, 1))
        (changed,) = find_files([str(folder / "link.jsonl")])
        assert changed.revision != link.revision
        os.utime(target)


def test_what_is_passed_over_is_told_and_our_own_output_is_no_input(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch = folder / "entities" / "batches" / "one" / "documents"
    batch.mkdir(parents=True)
    (folder / "entities" / "dataset.json").write_text("{}")
    (batch / "0.parquet").write_bytes(b"content")
    assert found(folder) == ["a.jsonl", "b.xml.gz", "c.parquet"]
    [told] = caplog.messages
    assert told.startswith(f"{folder}: 3 files passed over: ")
    assert all(name in told for name in ("README.md", "dataset.json", "0.parquet"))


def test_a_file_whose_name_tells_nothing_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("<PubmedArticleSet></PubmedArticleSet>")
    assert found(tmp_path / "export") == ["export"]


def test_a_relative_path_becomes_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [f.url for f in find_files(["a.jsonl"])] == [str(folder / "a.jsonl")]


def test_the_name_of_a_file_may_look_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "export[1].jsonl").write_bytes(b"{}")
    assert found(tmp_path / "export[1].jsonl") == ["export[1].jsonl"]


def test_the_revision_changes_with_the_file(folder: Path) -> None:
    path = folder / "a.jsonl"
    (before,) = find_files([str(path)])
    assert find_files([str(path)]) == [before]
    os.utime(path, (1, 1))
    assert find_files([str(path)]) != [before]


@pytest.mark.parametrize(
    ("input_", "error", "message"),
    [
        ("nothing.xml", InputNotFoundError, "nothing.xml: no such file or folder"),
        ("*.gz.parquet", InputNotFoundError, "no file to read there"),
        ("empty", InputNotFoundError, "no file to read there"),
        ("README.md", InputError, "README.md: neither its content nor its name tells its format .*--format"),
    ],
)
def test_an_input_that_gives_no_file(folder: Path, input_: str, error: type[LlmnerError], message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(error, match=message) as e:
        find_files([str(folder / input_)])
    assert type(e.value) is error


def test_an_unknown_protocol(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=r"xyz://bucket/a\.xml"):
        find_files(["xyz://bucket/a.xml"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_and_a_file_without_permission(folder: Path) -> None:
    (folder / "sub").chmod(0)
    (folder / "a.jsonl").chmod(0)
    try:
        for unreadable in (folder / "sub", folder):  # a folder that holds one is not passed over either
            with pytest.raises(AccessError, match="no permission"):
                find_files([str(unreadable)])
        with pytest.raises(AccessError, match="no permission"):
            read(folder / "a.jsonl")
    finally:
        (folder / "sub").chmod(0o755)


# Bytes


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(0, 40))
def test_gzip_members_and_padding(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], zeros: int) -> None:
    path = tmp_path_factory.mktemp("gzip") / "a.xml.gz"
    path.write_bytes(b"".join(gzip.compress(c) + b"\0" * zeros for c in contents))
    if any(contents):
        assert read(path) == b"".join(contents)
    else:
        with pytest.raises(InputError, match=r"a\.xml\.gz: the file is empty"):
            read(path)


def test_pieces_are_small_however_far_the_data_are_compressed(tmp_path: Path) -> None:
    path = tmp_path / "zeros.xml.gz"
    path.write_bytes(gzip.compress(bytes(20 * CHUNK)))
    sizes = [len(piece) for piece in read_chunks(str(path))]
    assert sum(sizes) == 20 * CHUNK
    assert max(sizes) <= CHUNK


def test_compression_is_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "plain.xml.gz").write_bytes(b"<a/>")
    (tmp_path / "packed.xml").write_bytes(gzip.compress(b"<a/>"))
    assert read(tmp_path / "plain.xml.gz") == read(tmp_path / "packed.xml") == b"<a/>"


@given(st.data())
def test_cut_gzip_gives_what_was_there_and_then_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = os.urandom(2000)
    packed = gzip.compress(content)
    cut = data.draw(st.integers(2, len(packed) - 1))
    path = tmp_path_factory.mktemp("cut") / "a.xml.gz"
    path.write_bytes(packed[:cut])
    pieces: list[bytes] = []
    with pytest.raises(TruncatedFileError, match=r"a\.xml\.gz: the gzip data end in the middle"):
        pieces.extend(read_chunks(str(path)))
    assert content.startswith(b"".join(pieces))
    assert sum(map(len, pieces)) >= cut - 100


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(os.urandom(10 * CHUNK)))
    packed[-6] ^= 0xFF  # the checksum
    (tmp_path / "a.gz").write_bytes(packed)
    with pytest.raises(InputError, match=r"a\.gz: damaged gzip data after 2,\d\d\d,\d\d\d bytes"):
        read(tmp_path / "a.gz")


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.xml: the file is empty"):
        read(tmp_path / "a.xml")


# Checksums


@pytest.mark.parametrize(
    "line",
    [
        "MD5(a.xml.gz)= {}\n",
        "MD5 (a.xml.gz) = {}",
        "{}  a.xml.gz\n",
        "{} *a.xml.gz\n",
        "{}  ./folder/a.xml.gz\n",
        "{}",
        "00000000000000000000000000000000  b.xml.gz\n{}  a.xml.gz\n",
    ],
)
@pytest.mark.parametrize("upper", [False, True])
def test_a_checksum_beside_a_file(tmp_path: Path, line: str, upper: bool) -> None:
    path = tmp_path / "a.xml.gz"
    path.write_bytes(b"content")
    digest = hashlib.md5(b"content").hexdigest()
    (tmp_path / "a.xml.gz.md5").write_text(line.format(digest.upper() if upper else digest))
    verify_checksum(str(path))
    path.write_bytes(b"contens")
    with pytest.raises(ChecksumError, match=rf"a\.xml\.gz: its MD5 is .* says {digest}"):
        verify_checksum(str(path))


def test_no_checksum_is_no_error_but_an_unreadable_one_is(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b"content")
    verify_checksum(str(path))
    (tmp_path / "a.xml.md5").write_bytes(b"<html>\xff not found</html>")
    with pytest.raises(ChecksumError, match=r"a\.xml\.md5: holds no MD5 checksum"):
        verify_checksum(str(path))


# S3


def test_listing_and_reading_on_s3(s3: S3) -> None:
    packed = gzip.compress(b"<a/>" * 100_000)
    one = s3.put("pubmed/one.xml.gz", packed)
    s3.put("pubmed/one.xml.gz.md5", f"MD5(one.xml.gz)= {hashlib.md5(packed).hexdigest()}".encode())
    two = s3.put("pubmed/sub/two.jsonl", b"{}")
    root = f"s3://{s3.bucket}"
    for inputs in ([root], [f"{root}/pubmed/"], [f"{root}/**/*.*"], [two, one, f"{root}/pubmed/*.gz"]):
        assert [f.url for f in find_files(inputs)] == [one, two]
    (file,) = find_files([one])
    assert (file.size, file.revision) == (len(packed), hashlib.md5(packed).hexdigest())  # the etag
    verify_checksum(one)
    assert read(one) == b"<a/>" * 100_000
    s3.put("pubmed/one.xml.gz", packed + b"\0")
    with pytest.raises(ChecksumError):
        verify_checksum(one)
    assert find_files([one]) != [file]


def test_what_is_not_on_s3(s3: S3) -> None:
    for missing in ("nothing.xml", "folder/*.xml"):
        with pytest.raises(InputNotFoundError, match=r"no (such )?file"):
            find_files([f"s3://{s3.bucket}/{missing}"])
        with pytest.raises(AccessError, match="no such bucket: no-such-bucket"):
            find_files([f"s3://no-such-bucket/{missing}"])
    with pytest.raises(InputNotFoundError, match=r"nothing\.xml: no such file"):
        read(f"s3://{s3.bucket}/nothing.xml")
    with pytest.raises(AccessError, match="no such bucket"):
        read("s3://no-such-bucket/nothing.xml")


def test_no_permission_on_s3(s3: S3) -> None:
    url = s3.put("a.jsonl", b"{}")
    s3.require_permission()
    for refused in (url, f"s3://{s3.bucket}", f"s3://{s3.bucket}/*.jsonl"):
        with pytest.raises(AccessError, match="no permission"):
            find_files([refused])
    verify_checksum(url)  # whether a checksum lies beside it cannot be seen
    with pytest.raises(AccessError, match="no permission"):
        read(url)


def test_storage_that_does_not_answer_may_be_tried_again(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    S3FileSystem.clear_instance_cache()  # an instance knows the endpoint that it was made with
    with pytest.raises(StorageError) as e:
        find_files([f"s3://{s3.bucket}/a.jsonl"])
    S3FileSystem.clear_instance_cache()
    assert e.value.retryable
