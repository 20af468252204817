"""Texts with mentions, for writing them in each format and reading them back."""

from typing import Any

from hypothesis import strategies as st

from llmner.documents import Document
from llmner.mentions import Mention

TYPES = ["Disease", "Chemical", "Gene_or_product"]
# No tabs and line ends, which the line formats cannot hold; Greek, Han and a character outside the first plane.
WORDS = st.text("abcXYZ019-.()αβ病毒🧬", min_size=1, max_size=8)
LINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@st.composite
def mentions(draw: st.DrawFn, text: str) -> tuple[Mention, ...]:
    """Mentions of a text, nested and crossing ones too, without white space at their ends."""
    found = set()
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 20)))
        if text[start:end] == text[start:end].strip():
            found.add(Mention(start, end, draw(st.sampled_from(TYPES))))
    return tuple(sorted(found))


@st.composite
def annotated(draw: st.DrawFn) -> tuple[str, tuple[Mention, ...]]:
    """A text of one line and its mentions."""
    text = draw(LINES)
    return text, draw(mentions(text))


def found(document: Document) -> tuple[Any, ...]:
    """Identifier, text and mentions of a document in which nothing was wrong."""
    assert document.annotations is not None
    assert not document.error
    assert not document.annotations.problems
    return document.source_id, document.text, document.annotations.mentions


def problems(document: Document) -> list[str]:
    """What was wrong with a document."""
    assert document.annotations is not None
    return [str(p) for p in document.annotations.problems]


def pieces(text: str, size: int = 7) -> list[bytes]:
    """A file in small pieces, so that their borders fall inside of everything."""
    data = text.encode()
    return [data[i : i + size] for i in range(0, len(data), size)]
