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

from llmner.config import JobConfig
from llmner.documents import Document
from llmner.errors import DocumentTooLargeError, InputError
from llmner.extraction.resolve import reading
from llmner.sources import read_file
from llmner.sources.compression import INFLATION_CHECKED
from llmner.sources.files import find_files
from llmner.sources.limits import DEFAULT_LIMITS, Limits

READ = """
import re, sys
from llmner.sources import read_file
from llmner.sources.files import find_files
(file,) = find_files([sys.argv[1]])
documents = sum(1 for _ in read_file(file))
print(documents, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def read(path: Path, **limits: int) -> list[Document]:
    (file,) = find_files([str(path)])
    return list(read_file(file, limits=Limits(**limits)))


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
    assert "raise limits.inflation" in str(last.error)
    assert "more than 500 times as many bytes as are stored" in str(last.error)


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        (
            "a.xml",
            "<PubmedArticle><PMID>1</PMID>" + "<i/>" * (DEFAULT_LIMITS.values + 1) + "</PubmedArticle>",
            "<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>Gout.</ArticleTitle></Article>"
            "</MedlineCitation></PubmedArticle>",
        ),
        ("a.jsonl", '{"id": "1", "text": [' + "[]," * DEFAULT_LIMITS.values + "0]}", '{"id": "2", "text": "Gout."}'),
    ],
    ids=["xml", "json"],
)
def test_a_record_of_very_many_elements_is_rejected_alone(tmp_path: Path, name: str, bad: str, good: str) -> None:
    path = tmp_path / name
    whole = f"<PubmedArticleSet>{bad}{good}</PubmedArticleSet>" if name.endswith("xml") else f"{bad}\n{good}\n"
    path.write_text(whole)
    first, second = read(path)
    assert isinstance(first.error, DocumentTooLargeError)
    assert "raise limits.values" in str(first.error)
    assert second.text == "Gout."


RECORDS = {
    "pubmed.xml": "<PubmedArticleSet>{}{}</PubmedArticleSet>",
    "jats.xml": "{}{}",
    "bioc.xml": "<collection>{}{}</collection>",
    "bioc.json": '{{"documents": [{}, {}]}}',
    "trials.json": '{{"studies": [{}, {}]}}',
    "lines.jsonl": "{}\n{}\n",
    "list.json": "[{}, {}]",
    "export.ris": "{}\n{}\n",
    "export.txt": "{}\n{}\n",
    "table.csv": "id,text\n{}\n{}\n",
    "a.pubtator": "{}\n{}\n",
}
RECORD = {
    "pubmed.xml": "<PubmedArticle><MedlineCitation><PMID>{0}</PMID><Article><ArticleTitle>Gout{1}.</ArticleTitle>"
    "</Article></MedlineCitation></PubmedArticle>",
    "jats.xml": "<article><front><article-meta><title-group><article-title>Gout{1}</article-title></title-group>"
    "</article-meta></front></article>",
    "bioc.xml": "<document><id>{0}</id><passage><offset>0</offset><text>Gout{1}.</text></passage></document>",
    "bioc.json": '{{"id": "{0}", "passages": [{{"offset": 0, "text": "Gout{1}."}}]}}',
    "trials.json": '{{"protocolSection": {{"identificationModule": {{"nctId": "NCT{0}", "briefTitle": "Gout{1}"}}}}}}',
    "lines.jsonl": '{{"id": "{0}", "text": "Gout{1}."}}',
    "list.json": '{{"id": "{0}", "text": "Gout{1}."}}',
    "export.ris": "TY  - JOUR\nTI  - Gout{1}\nER  - ",
    "export.txt": "RT Journal Article\nT1 Gout{1}",
    "table.csv": "{0},Gout{1}.",
    "a.pubtator": "{0}|t|Gout{1}.",
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize(("key", "most"), [("characters", 900), ("record_bytes", 1200)])
def test_a_record_beyond_a_limit_is_rejected_alone_and_names_the_key_to_raise(
    tmp_path: Path, name: str, key: str, most: int
) -> None:
    path = tmp_path / name
    long = " hurts" * (170 if key == "characters" else 300)
    path.write_text(RECORDS[name].format(RECORD[name].format(1, long), RECORD[name].format(2, "")))
    first, second = read(path, **{key: most})
    assert f"raise limits.{key}" in str(first.error)
    assert str(path) in str(first.error)
    assert second.text.startswith("Gout")
    assert [d.error for d in read(path, characters=2000, record_bytes=3000)] == [None, None]


def test_a_file_read_as_a_whole_has_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Gout hurts. " * 10)
    (document,) = read(tmp_path / "a.txt", file_bytes=100)
    assert "raise limits.file_bytes" in str(document.error)
    (document,) = read(tmp_path / "a.txt", file_bytes=120)
    assert document.error is None


def test_rows_of_parquet_are_decoded_by_their_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["Gout.", "Gout."]}), tmp_path / "a.parquet")
    assert [d.source_id for d in read(tmp_path / "a.parquet", batch_bytes=1)] == ["1", "2"]


def test_limits_belong_to_how_a_job_reads() -> None:
    usual, raised = (JobConfig(inputs=["a"], output="b", limits=limits) for limits in ({}, {"characters": 3_000_000}))
    assert reading(usual) == reading(JobConfig(inputs=["a"], output="b"))
    assert reading(usual) != reading(raised)
