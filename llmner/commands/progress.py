"""How a running batch looks to people: a bar on a terminal, a line every few seconds in a log."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from llmner.extraction.counts import Progress

logger = logging.getLogger(__name__)

LINE_SECONDS = 5.0
_RECENT = 60.0  # seconds that the recent rate looks back


class Rates:
    """Documents a second over the whole run and over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def describe(self, p: Progress) -> str:
        """Return a line on a run's progress."""
        self._seen.append((p.seconds, p.documents))
        while p.seconds - self._seen[0][0] > _RECENT:
            self._seen.popleft()
        (then, before) = self._seen[0]
        whole = p.documents / p.seconds if p.seconds else 0.0
        recent = (p.documents - before) / (p.seconds - then) if p.seconds > then else whole
        done = p.documents + p.resumed
        of = f" of {p.records:,}" if p.complete else ""
        parts = [f"{done:,}{of} documents", f"{whole:.1f}/s, last minute {recent:.1f}/s", f"{p.mentions:,} mentions"]
        if p.resumed:
            parts.insert(1, f"{p.resumed:,} done before")
        if p.failed or p.deaths:
            parts.append(f"{p.failed:,} failed, {p.deaths:,} workers lost")
        if p.complete and recent > 0:
            parts.append(f"{_duration((p.records - done) / recent)} left")
        return ", ".join(parts)


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Give the function to call with progress, so that it is seen on this console."""
    rates = Rates()
    if not console.is_terminal:
        last = time.monotonic()

        def log(p: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS:
                last = time.monotonic()
                logger.info("%s", rates.describe(p))

        yield log
        return
    columns = SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn()
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def draw(p: Progress) -> None:
            total = p.records if p.complete else None
            text = rates.describe(p) if p.seconds else "starting the model"
            bars.update(task, description=text, completed=p.documents + p.resumed, total=total)

        yield draw


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
