"""Files that are small and hold very much: they are refused, or read in bounded memory, and harm no neighbour."""

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmner.errors import DocumentTooLargeError, InputError
from llmner.sources import read_file
from llmner.sources.compression import INFLATION_CHECKED
from llmner.sources.files import find_files
from llmner.sources.records import MAX_ELEMENTS

READ = """
import re, sys
from llmner.sources import read_file
from llmner.sources.files import find_files
(file,) = find_files([sys.argv[1]])
documents = sum(1 for _ in read_file(file))
print(documents, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def read(path: Path) -> list:
    (file,) = find_files([str(path)])
    return list(read_file(file))


def test_a_text_that_stands_once_for_many_rows_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60, np.int32)), pa.array(["a" * 20_000_000]))
    pq.write_table(pa.table({"id": [str(i) for i in range(60)], "text": texts}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    documents, megabytes = map(int, done.stdout.split())
    assert documents == 60
    assert megabytes < 800, "all of them at once are 1,200 and more"


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.zip"])
def test_far_more_than_is_stored(tmp_path: Path, name: str) -> None:
    good = json.dumps({"id": "1", "text": "Gout."}).encode() + b"\n"
    content = good + b" " * (INFLATION_CHECKED + 1_000_000)
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content, 9))
    elif name.endswith(".zst"):
        path.write_bytes(pa.compress(content, "zstd", asbytes=True))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.jsonl", content)
    first, last = read(path)
    assert first.text == "Gout."
    assert isinstance(last.error, InputError)
    assert "more than 500 times as many bytes as are stored" in str(last.error)


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        (
            "a.xml",
            "<PubmedArticle><PMID>1</PMID>" + "<i/>" * (MAX_ELEMENTS + 1) + "</PubmedArticle>",
            "<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>Gout.</ArticleTitle></Article>"
            "</MedlineCitation></PubmedArticle>",
        ),
        ("a.jsonl", '{"id": "1", "text": [' + "[]," * MAX_ELEMENTS + "0]}", '{"id": "2", "text": "Gout."}'),
    ],
    ids=["xml", "json"],
)
def test_a_record_of_very_many_elements_is_rejected_alone(tmp_path: Path, name: str, bad: str, good: str) -> None:
    path = tmp_path / name
    whole = f"<PubmedArticleSet>{bad}{good}</PubmedArticleSet>" if name.endswith("xml") else f"{bad}\n{good}\n"
    path.write_text(whole)
    first, second = read(path)
    assert isinstance(first.error, DocumentTooLargeError)
    assert second.text == "Gout."
