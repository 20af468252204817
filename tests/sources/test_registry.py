"""The registry: formats are told apart by their content, and a folder of all of them is read as a whole."""

from pathlib import Path

import pytest
from mixed_folder import SOURCES, write_mixed_folder

from llmner.errors import ConfigError
from llmner.sources import read_file
from llmner.sources.files import find_files
from llmner.sources.format import by_name_only
from llmner.sources.registry import FORMATS, format_named, recognised

WITH_SIGNS = [f for f in FORMATS if f.recognises is not by_name_only and f.name != "parquet"]


def test_names_are_unique_and_found() -> None:
    assert len({f.name for f in FORMATS}) == len(FORMATS)
    assert all(format_named(f.name) is f for f in FORMATS)
    with pytest.raises(ConfigError, match=r"no such format: docx \(one of parquet, pubmed"):
        format_named("docx")


@pytest.mark.parametrize("format", WITH_SIGNS, ids=lambda f: f.name)
def test_the_example_of_a_format_is_recognised_by_it_alone(format) -> None:
    head = f"\ufeff \n{format.example}".encode()
    assert [f.name for f in FORMATS if f.recognises(head.removeprefix(b"\xef\xbb\xbf").lstrip())] == [format.name]
    if format.documents:
        assert recognised(head, "export.dat") is format


@pytest.mark.parametrize(
    ("content", "name", "format"),
    [
        (b"Gout hurts.", "a.txt", "text"),
        (b"{}", "a.json", "jsonl"),
        (b"<html/>", "a.xml", "pubmed"),
        (b"id,text", "a.csv", "table"),
        (b"anything", "a.dat", None),
        (b"11|t|Gout.\n", "a.csv", "pubtator"),
    ],
)
def test_the_name_decides_where_the_content_does_not(content: bytes, name: str, format: str | None) -> None:
    found = recognised(content, name)
    assert (found and found.name) == format


def test_a_folder_of_all_formats(tmp_path: Path) -> None:
    write_mixed_folder(tmp_path)
    documents = [d for file in find_files([str(tmp_path)]) for d in read_file(file)]
    assert [d.source for d in documents] == SOURCES
    assert not any(d.error for d in documents)
    assert all("Gout" in d.text or "痛风" in d.text for d in documents)
