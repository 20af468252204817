"""What was begun and did not end: how one document that kills its worker is found and kept from its neighbours.

Invariant: an attempt that did not end is remembered until one of the same work does. So a document that kills its
worker each time stays given up, and of k such documents in a call each costs the same few workers.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from llmner.dataset.records import Part


class Work(NamedTuple):
    """What is attempted: a call of a model with several documents, with one alone, or with harmless ones."""

    stage: str
    kind: Literal["call", "document", "canary"]
    identity: str


class Suspect(Part):
    """A document that was begun alone and did not end.

    Attributes:
        stage: At which stage.
        identity: The document.
        begun: How often it was begun.
        reason: Why its worker ended the last time.
    """

    stage: str
    identity: str
    begun: int
    reason: str


class Attempts:
    """Remembers the attempts of all workers.

    Args:
        suspects: What an earlier start of the run remembered.

    Attributes:
        deaths: Times that a worker died at its work.
    """

    def __init__(self, suspects: Iterable[Suspect] = ()) -> None:
        self.deaths = 0
        self._begun: dict[Work, int] = {}
        self._reasons: dict[Work, str] = {}
        for s in suspects:
            work = Work(s.stage, "document", s.identity)
            self._begun[work], self._reasons[work] = s.begun, s.reason

    def begin(self, work: Work) -> tuple[int, str]:
        """Begin an attempt; return how many before it did not end, and why the last of them did not."""
        before = self._begun.get(work, 0)
        self._begun[work] = before + 1
        self.deaths += before > 0 and work.kind == "call"  # the death of a single document is one of its call, too
        return before, self._reason(work)

    def explain(self, work: Work, reason: str) -> None:
        """Note why the attempt under way is about to end its worker."""
        self._reasons[work] = reason

    def end(self, work: Work) -> None:
        """End the attempt under way; what was tried before it is forgotten."""
        self._begun.pop(work, None)
        self._reasons.pop(work, None)

    def suspects(self) -> list[Suspect]:
        """Return the documents whose attempts alone did not end."""
        documents = [work for work in self._begun if work.kind == "document"]
        return [
            Suspect(stage=work.stage, identity=work.identity, begun=self._begun[work], reason=self._reason(work))
            for work in documents
        ]

    def _reason(self, work: Work) -> str:
        return self._reasons.get(work, "the worker process ended without a word")
