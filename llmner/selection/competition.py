"""Which candidates stay: they compete where annotation would not have both, and the better one wins.

Invariant: winning does not depend on the threshold, so a threshold can be moved afterwards with nothing but the
stored scores; of the candidates kept no two are rivals.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Nesting = Literal["same type", "other type"]
ANY_NESTING: tuple[Nesting, ...] = ("same type", "other type")
Span = tuple[int, int, str]  # start, end, type


@dataclass(frozen=True)
class Rules:
    """How scores decide.

    Attributes:
        threshold: Candidates below it go.
        thresholds: The same for single tag sets, by name.
        nesting: By tag set what its annotation lets nest; of one that is not named anything may.
    """

    threshold: float
    thresholds: Mapping[str, float]
    nesting: Mapping[str, tuple[Nesting, ...]]

    def kept(self, spans: Sequence[Span], scores: Sequence[float], tag_set: str) -> list[bool]:
        """Decide which candidates of one text stay."""
        nesting = self.nesting.get(tag_set, ANY_NESTING)
        return kept(spans, scores, nesting=nesting, threshold=self.threshold_of(tag_set))

    def threshold_of(self, tag_set: str) -> float:
        """Return the score that a candidate of a tag set needs."""
        return self.thresholds.get(tag_set, self.threshold)

    def parts(self) -> dict[str, str]:
        """Return the rules as readable parts of a fingerprint."""
        thresholds = [f"{self.threshold:.6g}", *(f"{k} {t:.6g}" for k, t in sorted(self.thresholds.items()))]
        nesting = {k: list(v) for k, v in sorted(self.nesting.items())}
        return {"threshold": ", ".join(thresholds), "nesting": json.dumps(nesting)}

    @classmethod
    def of_parts(cls, parts: Mapping[str, str], *, threshold: float | None = None) -> "Rules":
        """Return the rules that a fingerprint tells, where given with another threshold for all tag sets."""
        nesting = {k: tuple(v) for k, v in json.loads(parts["nesting"]).items()}
        if threshold is not None:
            return cls(threshold, {}, nesting)
        whole, *single = parts["threshold"].split(", ")
        pairs = (entry.rpartition(" ") for entry in single)
        return cls(float(whole), {name: float(value) for name, _, value in pairs}, nesting)


def kept(
    spans: Sequence[Span], scores: Sequence[float], *, nesting: Collection[Nesting], threshold: float
) -> list[bool]:
    """Decide which candidates of one text and one tag set stay.

    Args:
        spans: The candidates.
        scores: Of each the probability that it is right.
        nesting: Mentions of which types may enclose one another: see ``nesting_of``.
        threshold: Candidates below it go.
    """
    order = sorted(range(len(spans)), key=lambda i: (-scores[i], spans[i]))
    winners: list[int] = []
    for i in order:
        if scores[i] >= threshold and not any(_rivals(spans[i], spans[j], nesting) for j in winners):
            winners.append(i)
    return [i in set(winners) for i in range(len(spans))]


def nesting_of(sentences: Sequence[Collection[Span]]) -> tuple[Nesting, ...]:
    """Return how the mentions of annotated sentences nest."""
    found: set[Nesting] = set()
    for spans in sentences:
        ordered = sorted(set(spans))
        for i, a in enumerate(ordered):
            for b in ordered[i + 1 :]:
                if b[0] >= a[1]:
                    break
                if a[:2] != b[:2] and (a[0] == b[0] or b[1] <= a[1]):
                    found.add("same type" if a[2] == b[2] else "other type")
    return tuple(n for n in ANY_NESTING if n in found)


def _rivals(a: Span, b: Span, nesting: Collection[Nesting]) -> bool:
    """Return whether annotation has only one of two candidates.

    Two spans that cross, or one span with two types, occur in none of the corpora but by mistake.
    """
    if a[1] <= b[0] or b[1] <= a[0]:
        return False
    crossing = a[0] < b[0] < a[1] < b[1] or b[0] < a[0] < b[1] < a[1]
    equal = a[:2] == b[:2]
    return crossing or equal or ("same type" if a[2] == b[2] else "other type") not in nesting
