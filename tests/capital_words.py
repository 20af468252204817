"""An engine and a selector that need no model: capitalised words are mentions. As a program it runs a job with it."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import typer

from llmner.commands.outcome import stops_on_signal
from llmner.config import JobConfig
from llmner.errors import SelectionError, TaggingError
from llmner.extraction.models import Loadable, Selection
from llmner.extraction.nightly import Night, nightly
from llmner.extraction.run import Extracted, extract
from llmner.mentions import Mention
from llmner.selection.competition import Rules
from llmner.selection.selector import SelectionRequest, SelectionResult
from llmner.tagging.engine import TaggingRequest, TaggingResult

WORD = re.compile(r"[A-Z]\w+")


class CapitalWordsEngine:
    """Tags capitalised words with the first type of the tag set, and pairs of them with the last.

    A sentence with ``UNTAGGABLE`` has an error for its result, one with ``BROKEN`` makes the engine raise, one with
    ``DEADLY`` kills the process, and one with ``ENDLESS`` is never done. It is as slow as it is told to be.
    """

    fingerprint: ClassVar[dict[str, str]] = {"model": "capital words"}

    def __init__(self, seconds: float = 0.0, meeting: Path | None = None) -> None:
        self.seconds = seconds
        self.meeting = meeting
        self.calls = 0

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        self.calls += 1
        with at_work(self.meeting, "tag"):
            time.sleep(self.seconds * len(requests))
            return [self._tag(r) for r in requests]

    def _tag(self, request: TaggingRequest) -> TaggingResult:
        if "DEADLY" in request.text:
            os.kill(os.getpid(), 9)
        if "ENDLESS" in request.text:
            time.sleep(3600)
        if "BROKEN" in request.text:
            raise RuntimeError("out of order")
        if "UNTAGGABLE" in request.text:
            return TaggingResult(error=TaggingError("this cannot be tagged"))
        types = request.tag_set.types
        words = list(WORD.finditer(request.text))
        mentions = [Mention(w.start(), w.end(), types[0].name, 0.123456) for w in words]
        for a, b in pairwise(words):
            if b.start() == a.end() + 1:
                mentions.append(Mention(a.start(), b.end(), types[-1].name, 0.5))
        mentions.sort(key=lambda m: (m.start, -m.end))
        tokens = len(request.text.split())
        return TaggingResult(tuple(mentions), source_tokens=tokens, fed_tokens=tokens)


class HealedEngine(CapitalWordsEngine):
    """Tags what the other one cannot."""

    def _tag(self, request: TaggingRequest) -> TaggingResult:
        return super()._tag(replace(request, text=request.text.replace("UNTAGGABLE", "untaggable")))


class StuckEngine(CapitalWordsEngine):
    """The first worker never comes to an end of loading it; those after it do."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        if not mark.exists():
            mark.touch()
            time.sleep(3600)


class BrokenEngine(CapitalWordsEngine):
    """It can tag nothing at all."""

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        raise RuntimeError("out of order")


class IncompleteEngine(CapitalWordsEngine):
    """Its files are not where they should be."""

    def __init__(self) -> None:
        raise FileNotFoundError("weights.safetensors")


class ShortWordsSelector:
    """Scores a candidate the higher the shorter it is.

    A sentence with ``UNJUDGEABLE`` has an error for its result, and one with ``LETHAL`` kills the process. With a
    folder to meet in it waits there for others, see ``at_work``.
    """

    fingerprint: ClassVar[dict[str, str]] = {"weights": "short words"}

    def __init__(self, seconds: float = 0.0, meeting: Path | None = None) -> None:
        self.seconds = seconds
        self.meeting = meeting

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        with at_work(self.meeting, "select"):
            time.sleep(self.seconds * len(requests))
            return [self._judge(r) for r in requests]

    def _judge(self, request: SelectionRequest) -> SelectionResult:
        if "LETHAL" in request.text:
            os.kill(os.getpid(), 9)
        if "UNJUDGEABLE" in request.text:
            return SelectionResult(error=SelectionError("this cannot be judged"))
        return SelectionResult(tuple(max(0.0, 1 - (m.end - m.start) / 20) for m in request.candidates))


MET = "all were at work at once"


@contextmanager
def at_work(meeting: Path | None, what: str) -> Iterator[None]:
    """Stay at work until two workers of each kind are, a few seconds at most, and note in the folder that they met."""
    if meeting is None:
        yield
        return
    mark = meeting / f"{what} {os.getpid()}"
    mark.touch()
    until = time.monotonic() + 5
    while not (meeting / MET).exists() and time.monotonic() < until:
        if all(len(list(meeting.glob(f"{kind} *"))) >= 2 for kind in ("tag", "select")):
            (meeting / MET).touch()
        time.sleep(0.05)
    yield
    mark.unlink()


def selection(threshold: float = 0.5, mode: str = "on", seconds: float = 0.0, meeting: Path | None = None) -> Selection:
    """How a job with this selector selects."""
    selector = Loadable(partial(ShortWordsSelector, seconds, meeting), ShortWordsSelector.fingerprint)
    return Selection(selector, Rules(threshold, {}, {"genia": ()}), mode)


def run(config: JobConfig, seconds: float = 0.0, meeting: Path | None = None, **options: object) -> Extracted:
    """Extract with this engine."""
    generator = Loadable(partial(CapitalWordsEngine, seconds, meeting), CapitalWordsEngine.fingerprint)
    return extract(config, generator=generator, **options)


def run_nightly(config: JobConfig, seconds: float = 0.0, **options: object) -> Night:
    """Extract what is new with this engine."""
    return nightly(
        config, generator=Loadable(partial(CapitalWordsEngine, seconds), CapitalWordsEngine.fingerprint), **options
    )


def main(config: str, seconds: str, command: str = "extract") -> int:
    """Run a job as the command of that name does, to its exit code."""
    try:
        with stops_on_signal():
            job = JobConfig.model_validate(json.loads(config))
            (run_nightly if command == "nightly" else run)(job, float(seconds))
    except typer.Exit as e:
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
