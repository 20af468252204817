"""The Ray data source: blocks as they are read, and the same rows by Ray as without."""

import gzip
import json
import os
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from llmner.documents import SOURCE_SCHEMA, documents_table
from llmner.errors import ConfigError
from llmner.extraction.datasource import BLOCK_CHARACTERS, DocumentDatasource, read_blocks
from llmner.sources import read_file
from llmner.sources.fields import DEFAULT_FIELDS
from llmner.sources.files import SourceFile, find_files
from llmner.sources.limits import DEFAULT_LIMITS

os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"


def jsonl(path: Path, numbers: range, text: str = "Text {}") -> None:
    lines = (json.dumps({"id": i, "text": text.format(i)}) for i in numbers)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


@pytest.fixture
def files(tmp_path: Path) -> list[SourceFile]:
    jsonl(tmp_path / "a.jsonl.gz", range(150))
    (tmp_path / "b.jsonl").write_text('{"id": "b"}\n["no object"]\n')
    (tmp_path / "c.jsonl").touch()
    jsonl(tmp_path / "d.jsonl.gz", range(1000, 1001))
    return find_files([str(tmp_path)])


def test_blocks_are_bounded_by_documents(files: list[SourceFile]) -> None:
    blocks = list(read_blocks(files[0], DEFAULT_FIELDS, DEFAULT_LIMITS, 64))
    assert [b.num_rows for b in blocks] == [64, 64, 22]
    assert all(b.schema == SOURCE_SCHEMA for b in blocks)
    assert pa.concat_tables(blocks) == documents_table(list(read_file(files[0])))


def test_blocks_are_bounded_by_characters(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl.gz", range(10), "x" * (BLOCK_CHARACTERS // 3 + 1) + "{}")
    (file,) = find_files([str(tmp_path)])
    assert [b.num_rows for b in read_blocks(file, DEFAULT_FIELDS, DEFAULT_LIMITS, 64)] == [3, 3, 3, 1]


def test_a_task_reads_as_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "text": "t"}\n' * 100_000)
    (file,) = find_files([str(path)])
    blocks = read_blocks(file, DEFAULT_FIELDS, DEFAULT_LIMITS, 64)
    next(blocks)
    path.write_text("")  # what has not been read yet is gone
    assert sum(b.num_rows for b in blocks) < 50_000


def test_one_task_a_file_and_each_says_which(files: list[SourceFile]) -> None:
    tasks = DocumentDatasource(files).get_read_tasks(1)
    assert [t.metadata.input_files for t in tasks] == [(f.url,) for f in files]
    assert [sum(b.num_rows for b in t()) for t in tasks] == [150, 2, 1, 1]


def test_fields_are_checked_at_once(files: list[SourceFile]) -> None:
    with pytest.raises(ConfigError, match="fields: unknown: body"):
        DocumentDatasource(files, fields={"body": "b"})


def test_nothing_secret_travels(files: list[SourceFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    assert b"hush-hush" not in pickle.dumps(DocumentDatasource(files))


@pytest.mark.usefixtures("cluster")
def test_ray_reads_the_same_rows(files: list[SourceFile]) -> None:
    import ray.data

    source = DocumentDatasource(files)
    read = ray.data.read_datasource(source, override_num_blocks=len(files))
    table = pa.concat_tables(ray.get(read.to_arrow_refs()))
    assert table.schema.equals(SOURCE_SCHEMA)
    expected = documents_table([d for file in files for d in read_file(file)])
    order = [("source_file", "ascending"), ("source_id", "ascending")]
    assert table.sort_by(order).combine_chunks() == expected.sort_by(order).combine_chunks()
    assert table.filter(pa.compute.equal(table["status"], "rejected")).num_rows == 3
