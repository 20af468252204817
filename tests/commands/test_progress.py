"""Progress as a line: how much of how much, how fast over all and lately, how long still."""

import io
import logging

import pytest
from rich.console import Console

from llmner.commands import progress
from llmner.commands.progress import Rates, shown, steps_shown
from llmner.extraction.counts import Progress


def test_rates_over_all_and_over_the_last_minutes() -> None:
    rates = Rates("files")
    assert rates.describe(0, 0, None) == "0 files, 0.0/s, last 5 min 0.0/s"
    assert rates.describe(100, 1000, 4000) == "1,000 of 4,000 files, 10.0/s, last 5 min 10.0/s, 5 min 00 s left"
    line = rates.describe(500, 1400, 4000)
    assert line == "1,400 of 4,000 files, 2.8/s, last 5 min 2.8/s, 15 min 29 s left"
    line = rates.describe(600, 1500, 4000, before=500, more=["7 failed"])
    assert line == "2,000 of 4,000 files, 500 done before, 2.5/s, last 5 min 1.0/s, 7 failed, 33 min 20 s left"


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, "llmner")
    console = Console(file=io.StringIO())
    with shown(console) as update:
        update(Progress())
        update(Progress(documents=5, mentions=9, reasons={"X": 2}, records=10, complete=True, seconds=10.0, resumed=1))
    with steps_shown(console, "files") as step:
        step(1, 4)
    assert caplog.messages[0] == "starting the model"
    assert caplog.messages[1] == (
        "6 of 10 documents, 1 done before, 0.5/s, last 5 min 0.5/s, 9 mentions, 2 failed, 0 workers lost, 8 s left"
    )
    assert caplog.messages[2].startswith("1 of 4 files, ")


def test_a_terminal_has_a_bar() -> None:
    console = Console(file=(out := io.StringIO()), force_terminal=True, width=120)
    with steps_shown(console, "files") as step:
        step(3, 4)
    assert "3 of 4 files" in out.getvalue()
