"""Archives: what is in them is read as the files themselves, and what is broken harms nothing else."""

import gzip
import io
import logging
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from llmner.documents import Document
from llmner.sources import read_file
from llmner.sources.files import find_files

FILES = {
    "a/notes.jsonl": b'{"id": "1", "text": "One."}\n',
    "a/export.txt": "%0 Journal Article\n%T 痛风\n".encode("gb18030"),
    "b/packed.jsonl.gz": gzip.compress(b'{"id": "2", "text": "Two."}\n'),
    "b/broken.jsonl.gz": gzip.compress(b'{"id": "3", "text": "Three."}\n' * 100)[:-20],
    "b/table.csv": b"id,text\n4,Four.\n",
    "b/picture.jpg": b"\xff\xd8",
    "b/.hidden.jsonl": b"x",
}


def tar(path: Path, mode: str) -> None:
    with tarfile.open(path, mode) as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def read(path: Path) -> list[Document]:
    (file,) = find_files([str(path)])
    return list(read_file(file))


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz", "all.tgz", "all.zip", "all.tar.zst"])
def test_each_kind(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / name
    if name == "all.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in FILES.items():
                archive.writestr(member, content)
    elif name == "all.tar.zst":
        tar(tmp_path / "plain", "w")
        path.write_bytes(pa.compress((tmp_path / "plain").read_bytes(), codec="zstd", asbytes=True))
    else:
        tar(path, "w" if name == "all.tar" else "w:gz")
    with caplog.at_level(logging.WARNING):
        documents = read(path)
    good = [(d.source, d.text) for d in documents if not d.error]
    assert set(good) == {
        ("jsonl", "One."),
        ("endnote", "痛风"),
        ("jsonl", "Two."),
        ("table", "Four."),
        ("jsonl", "Three."),
    }
    (broken,) = (d for d in documents if d.error)
    assert (broken.source, broken.source_id) == ("file", f"{path}/b/broken.jsonl.gz")
    assert "end in the middle" in str(broken.error)
    assert f"{path}: 2 files in it passed over" in caplog.text
    assert {d.source_file for d in documents if d.text == "One."} == {f"{path}/a/notes.jsonl"}


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz", "all.zip"])
def test_an_archive_that_is_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "all.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.jsonl", b'{"id": "1", "text": "One."}\n' * 50)
    else:
        tar(path, "w" if name == "all.tar" else "w:gz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 if name == "all.tar.gz" else 700])
    *_, last = read(path)
    assert last.error is not None
    assert str(path) in str(last.error)


def test_zstandard_by_content(tmp_path: Path) -> None:
    packed = pa.compress(b'{"id": "1", "text": "One."}\n' * 10_000, codec="zstd", asbytes=True)
    (tmp_path / "a.jsonl.zst").write_bytes(packed + packed)
    assert len(read(tmp_path / "a.jsonl.zst")) == 20_000
    (tmp_path / "a.jsonl.zst").write_bytes(packed[:-30])
    *_, last = read(tmp_path / "a.jsonl.zst")
    assert "Zstandard" in str(last.error)
