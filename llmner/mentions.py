"""What a mention is: a typed span of a text, its scores and its place among other mentions.

Invariant: spans are half-open ``[start, end)`` in Unicode code points of the text they belong to, never
empty, and ``text[start:end]`` is the mention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Match = Literal["exact", "repaired", "repeat"]
Span = tuple[int, int]  # half-open


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """A typed span.

    Attributes:
        start: First code point, 0-based.
        end: One past the last code point.
        type: Entity type, a name of the tag set.
        score: Generator score in [0, 1]: the probability of the tags that mark the span; 0 of a repeat.
        match: How the span was found in the source: copied exactly, after repair of a drifting copy, or as a repeat of
            what was found elsewhere in the document.
    """

    start: int
    end: int
    type: str
    score: float = 1.0
    match: Match = "exact"

    @property
    def written(self) -> bool:
        """Whether a generator wrote it; a repeat none did."""
        return self.match != "repeat"

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without the white space at its edges; empty where nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def parents(spans: Sequence[Span]) -> list[int | None]:
    """Find for each span the smallest span that encloses it.

    Of equal spans the earlier in the sequence encloses the later, so the result is a forest.

    Args:
        spans: Half-open spans, in any order.

    Returns:
        For each span the index of its parent, or None at the top.
    """
    order = sorted(range(len(spans)), key=lambda i: (spans[i][0], -spans[i][1], i))
    result: list[int | None] = [None] * len(spans)
    open_: list[int] = []  # candidates that start at or before the current span, outermost first
    for i in order:
        start, end = spans[i]
        open_ = [j for j in open_ if spans[j][1] > start]
        enclosing = [j for j in open_ if spans[j][1] >= end]
        if enclosing:
            result[i] = min(enclosing, key=lambda j: (spans[j][1] - spans[j][0], -order.index(j)))
        open_.append(i)
    return result
