"""How work under way looks to people: a bar on a terminal, a line every few seconds in a log.

Invariant: both say the same: how much is done of how much, how fast over all and over the last minutes, how long it
will still take, and what went wrong.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from llmner.extraction.counts import Progress

logger = logging.getLogger(__name__)

LINE_SECONDS = 5.0
_RECENT = 300.0  # seconds that the recent rate looks back

Steps = Callable[[int, int], None]  # called with how many are done, and of how many


class Rates:
    """How fast things are done, over the whole time and over the last minutes."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._seen: deque[tuple[float, int]] = deque()

    def describe(
        self, seconds: float, now: int, total: int | None, *, before: int = 0, more: Sequence[str] = ()
    ) -> str:
        """Return a line on the progress.

        Args:
            seconds: Since the start.
            now: How many were done since then.
            total: How many there are; None where nobody knows yet.
            before: How many were done before the start.
            more: What else there is to say.
        """
        self._seen.append((seconds, now))
        while seconds - self._seen[0][0] > _RECENT:
            self._seen.popleft()
        then, earlier = self._seen[0]
        whole = now / seconds if seconds else 0.0
        recent = (now - earlier) / (seconds - then) if seconds > then else whole
        done = now + before
        of = "" if total is None else f" of {total:,}"
        parts = [f"{done:,}{of} {self._unit}"]
        if before:
            parts.append(f"{before:,} done before")
        parts += [f"{whole:.1f}/s, last 5 min {recent:.1f}/s", *more]
        if total is not None and recent > 0:
            parts.append(f"{_duration((total - done) / recent)} left")
        return ", ".join(parts)


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Give the function to call with the progress of a run, so that it is seen on this console."""
    rates = Rates("documents")
    with _drawn(console, "starting") as draw:

        def update(p: Progress) -> None:
            total = p.records if p.complete else None
            more = [f"{p.mentions:,} mentions"]
            if p.failed or p.deaths:
                more.append(f"{p.failed:,} failed, {p.deaths:,} workers lost")
            line = rates.describe(p.seconds, p.documents, total, before=p.resumed, more=more)
            draw(line if p.seconds else "starting the model", p.documents + p.resumed, total)

        yield update


@contextmanager
def steps_shown(console: Console, unit: str) -> Iterator[Steps]:
    """Give the function to call with the progress of work whose steps are counted.

    Args:
        console: Where it is seen.
        unit: What is counted, in the plural.
    """
    rates = Rates(unit)
    started = time.monotonic()
    with _drawn(console, unit) as draw:
        yield lambda done, total: draw(rates.describe(time.monotonic() - started, done, total), done, total)


@contextmanager
def _drawn(console: Console, beginning: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Give the function that shows a line, and how much is done of how much."""
    if not console.is_terminal:
        last = time.monotonic()

        def log(line: str, done: int, total: int | None) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                logger.info("%s", line)

        yield log
        return
    columns = SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn()
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(beginning, total=None)
        yield lambda line, done, total: bars.update(task, description=line, completed=done, total=total)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
