"""All formats, and how a file's format is found out: by its content, else by its name."""

import codecs
from collections.abc import Sequence

from llmner.errors import ConfigError
from llmner.sources import (
    bio,
    bioc,
    brat,
    citations,
    cmeee,
    jats,
    jsonl,
    parquet,
    plain,
    pubmed,
    pubtator,
    tables,
    trials,
    workbooks,
)
from llmner.sources.format import Format, by_name_only

# The first that recognises a content reads it.
FORMATS: tuple[Format, ...] = (
    parquet.FORMAT,
    pubmed.FORMAT,
    jats.FORMAT,
    bioc.FORMAT,
    trials.FORMAT,
    *citations.FORMATS,
    pubtator.FORMAT,
    cmeee.FORMAT,
    brat.FORMAT,
    bio.FORMAT,
    workbooks.FORMAT,
    jsonl.FORMAT,
    tables.FORMAT,
    plain.FORMAT,
)
AUTO = "auto"  # what stands for the name of a format that is to be found out


def format_named(name: str) -> Format:
    """Find a format by its name.

    Raises:
        ConfigError: No such format.
    """
    for format in FORMATS:
        if format.name == name:
            return format
    raise ConfigError(f"format: no such format: {name}", hint=f"one of {', '.join(f.name for f in FORMATS)}")


def recognised(head: bytes, name: str) -> Format | None:
    """Find the format of a file of documents.

    Args:
        head: Its first bytes, uncompressed.
        name: Its name, which decides where the content does not.

    Returns:
        The format; None where neither content nor name tells it.
    """
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    candidates = [f for f in FORMATS if f.documents]
    by_content = [f for f in candidates if f.recognises(head)]
    # A content that no format recognises is of one that cannot recognise any, if the name allows that.
    by_name = sorted(called(name), key=lambda f: f.recognises is not by_name_only)
    return next(iter(by_content or by_name), None)


def called(name: str) -> Sequence[Format]:
    """Return the formats of documents whose files may have this name."""
    return [f for f in FORMATS if f.documents and f.named(name)]
