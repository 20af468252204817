"""What was begun and did not end: how one document that kills its worker is found and kept from its neighbours.

Invariant: the memory outlives every worker of a run and ends with the run.
"""

from collections import defaultdict
from typing import Literal, NamedTuple


class Work(NamedTuple):
    """What is attempted: a call of a model with the rows of several documents, or with one document alone."""

    stage: str
    kind: Literal["call", "document"]
    identity: str


class Attempts:
    """Remembers the attempts of all workers.

    Attributes:
        deaths: Times that a worker died at its work.
    """

    def __init__(self) -> None:
        self.deaths = 0
        self._begun: defaultdict[Work, int] = defaultdict(int)
        self._reasons: dict[Work, str] = {}
        self._given_up = 0

    def begin(self, work: Work) -> tuple[int, str]:
        """Begin an attempt; return how many before it did not end, and why the last of them did not."""
        before = self._begun[work]
        self._begun[work] += 1
        self.deaths += before > 0 and work.kind == "call"  # the death of a single document is one of its call, too
        return before, self._reasons.get(work, "the worker process ended without a word")

    def explain(self, work: Work, reason: str) -> None:
        """Note why the attempt under way is about to end its worker."""
        self._reasons[work] = reason

    def end(self, work: Work) -> None:
        """End the attempt under way; what was tried before it is forgotten."""
        self._forget(work)
        self._given_up = 0

    def give_up(self, work: Work) -> int:
        """Allow no more attempts; return how many were given up in a row, with none between them that ended."""
        self._forget(work)
        self._given_up += 1
        return self._given_up

    def _forget(self, work: Work) -> None:
        self._begun.pop(work, None)
        self._reasons.pop(work, None)
