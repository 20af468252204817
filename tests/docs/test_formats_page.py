"""docs/formats.md lists the formats of the registry, and every column of what is written with its type."""

import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from llmner.dataset.links import LINK_SCHEMA
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA, MENTION_STRUCT
from llmner.documents import PART_STRUCT
from llmner.sources.registry import FORMATS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its two first lines."""
    part = PAGE.partition(heading)[2]
    lines = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert lines is not None, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].splitlines()[2:]]


def test_the_formats_are_those_of_the_registry() -> None:
    uses = {(True, False): "extract", (False, True): "convert", (True, True): "extract and convert"}
    expected = [
        [
            f"`{f.name}`",
            f.title,
            ", ".join(f"`{suffix}`" for suffix in f.suffixes),
            uses[f.documents, f.corpus],
            f.keeps,
            f.drops,
        ]
        for f in FORMATS
    ]
    assert rows("## What is read") == expected


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("### Documents", DOCUMENT_SCHEMA),
        ("### Their `parts`", PART_STRUCT),
        ("### Their `mentions`", MENTION_STRUCT),
        ("### Mentions", MENTION_SCHEMA),
        ("### Links", LINK_SCHEMA),
    ],
)
def test_the_columns_are_those_of_the_schema(heading: str, fields: Iterable[pa.Field]) -> None:
    written = [(f"`{f.name}`", re.match(r"\w+", str(f.type))[0], "yes" if f.nullable else "") for f in fields]
    assert [tuple(row[:3]) for row in rows(heading)] == written
    assert all(row[3] for row in rows(heading))
