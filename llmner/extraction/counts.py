"""How far a run is: records read, documents through, and the look at both that people see.

Invariant: what the batch's correctness rests on (records read by task) is set, not added, so a repeated task changes
nothing. What is counted for people may be a little off after a lost worker.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmner.errors import TooManyFailedError

FEWEST = 100  # documents of which the share that failed says something


@dataclass(frozen=True)
class Progress:
    """A look at a running batch.

    Attributes:
        documents: Documents that the generator's workers are through with.
        mentions: Mentions found in them.
        reasons: Documents among them that failed or were rejected, by the class of their error.
        source_tokens: Tokens of their sentences, once a tag set.
        sentences: Their sentences.
        spent: Seconds that calls of a model took, by stage, of all workers together.
        records: Records read so far.
        complete: Whether all inputs have been read, so that ``records`` is the total.
        resumed: Documents that were done before this start.
        seconds: Since the first documents reached the generator; 0 before it.
        deaths: Times that a worker died at its work.
        memory: Bytes that one of the workers took at most.
        idle: Seconds since anything moved, see ``Pulse``.
    """

    documents: int = 0
    mentions: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    source_tokens: int = 0
    sentences: int = 0
    spent: Mapping[str, float] = field(default_factory=dict)
    records: int = 0
    complete: bool = False
    resumed: int = 0
    seconds: float = 0.0
    deaths: int = 0
    memory: int = 0
    idle: float = 0.0

    @property
    def failed(self) -> int:
        """Documents that failed or were rejected."""
        return sum(self.reasons.values())

    def cost(self, price: float | None) -> float | None:
        """Return what a million source tokens cost; None without a price or without tokens.

        Args:
            price: Of an hour.
        """
        if price is None or not self.source_tokens:
            return None
        return price * self.seconds / 3600 / self.source_tokens * 1e6

    def figures(self, price: float | None) -> dict[str, float]:
        """Return what a manifest keeps of it.

        Args:
            price: Of an hour; None where it is not known.
        """
        figures: dict[str, float] = {
            "documents": self.documents,
            "sentences": self.sentences,
            "mentions": self.mentions,
            "source_tokens": self.source_tokens,
            "seconds": round(self.seconds, 1),
            "deaths": self.deaths,
        }
        figures |= {f"{stage}_seconds": round(seconds, 1) for stage, seconds in self.spent.items()}
        if (cost := self.cost(price)) is not None:
            figures["cost_per_million_tokens"] = round(cost, 4)
        return figures


class Pulse:
    """Tells for how long nothing has moved.

    A record that is read and a document that is begun or through are a beat each; so is a model that is at work and has
    the time that it may take, however long that is. So a slow machine with long documents has one.
    """

    def __init__(self) -> None:
        self.beat()

    def beat(self) -> None:
        """Note that something moves."""
        self._last = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last


class Records:
    """Counts the records that read tasks have read."""

    def __init__(self) -> None:
        self._tasks = 0
        self._read: dict[int, int] = {}  # records by read task, so far
        self._finished: set[int] = set()

    def read(self, task: int, tasks: int, records: int, finished: bool) -> None:
        """Note how far one of so many read tasks has come."""
        self._tasks = tasks
        self._read[task] = records
        if finished:
            self._finished.add(task)

    @property
    def total(self) -> int:
        """Records read so far."""
        return sum(self._read.values())

    @property
    def complete(self) -> bool:
        """Whether every task has come to its end."""
        return 0 < self._tasks == len(self._finished)


@dataclass(frozen=True)
class Through:
    """Documents that the generator's workers are through with; see ``Progress``.

    Attributes:
        reasons: Of each that failed or was rejected, the class of its error.
    """

    documents: int
    sentences: int
    mentions: int
    source_tokens: int
    reasons: Sequence[str]


class Tally:
    """Counts the documents that the generator's workers are through with, and the time that stages take."""

    def __init__(self) -> None:
        self.documents = self.sentences = self.mentions = self.source_tokens = 0
        self.reasons: Counter[str] = Counter()
        self.spent: dict[str, float] = {}
        self.memory = 0
        self._started: float | None = None

    def start(self) -> None:
        """Start the clock, if this is the first call."""
        self._started = self._started or time.monotonic()

    def add(self, stage: str, seconds: float, memory: int, through: Through | None) -> None:
        """Count a call.

        Args:
            stage: Where it was.
            seconds: What it took.
            memory: Bytes that its worker has taken at most.
            through: The documents that are through with it, if any.
        """
        self.spent[stage] = self.spent.get(stage, 0.0) + seconds
        self.memory = max(self.memory, memory)
        if through is not None:
            self.documents += through.documents
            self.sentences += through.sentences
            self.mentions += through.mentions
            self.source_tokens += through.source_tokens
            self.reasons.update(through.reasons)

    @property
    def seconds(self) -> float:
        """Since the start; 0 before it."""
        return time.monotonic() - self._started if self._started else 0.0


def check_share(documents: int, reasons: Mapping[str, int], most: float) -> None:
    """Make sure that not too many documents failed or were rejected.

    Args:
        documents: All that are through.
        reasons: Those that failed or were rejected, by the class of their error.
        most: The share of them that is allowed.

    Raises:
        TooManyFailedError: They are more.
    """
    failed = sum(reasons.values())
    if documents >= FEWEST and failed > most * documents:
        by_class = ", ".join(f"{name} {n:,}" for name, n in Counter(reasons).most_common())
        raise TooManyFailedError(
            f"{failed:,} of {documents:,} documents failed or were rejected: {by_class}",
            hint="mend inputs or fields, or allow a larger max_failed_share; what is done stays",
        )
