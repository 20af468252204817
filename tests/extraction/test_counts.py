"""How far a run is, and when too much of it fails."""

import pytest

from llmner.errors import TooManyFailedError
from llmner.extraction.counts import FEWEST, Progress, Tally, Through, check_share


def through(documents: int, reason: str) -> Through:
    return Through(documents, documents, 0, 0, [reason] * documents)


def test_a_share_of_failures_ends_a_run_once_there_are_enough_documents() -> None:
    tally = Tally()
    tally.add("tag", 1.0, 7, through(FEWEST - 1, "TaggingError"))
    check_share(tally.documents, tally.reasons, 0.5)
    tally.add("tag", 1.5, 5, through(1, "WorkerDiedError"))
    with pytest.raises(TooManyFailedError, match=r"100 of 100 .*: TaggingError 99, WorkerDiedError 1"):
        check_share(tally.documents, tally.reasons, 0.5)
    check_share(tally.documents, tally.reasons, 1.0)
    assert (tally.spent, tally.memory) == ({"tag": 2.5}, 7)


def test_half_is_allowed_and_more_is_not() -> None:
    check_share(200, {"TaggingError": 100}, 0.5)
    with pytest.raises(TooManyFailedError):
        check_share(200, {"TaggingError": 101}, 0.5)


def test_what_a_manifest_keeps_of_a_run() -> None:
    progress = Progress(
        documents=9, sentences=30, mentions=12, source_tokens=600, spent={"tag": 4.0, "select": 1.26}, seconds=7.2
    )
    assert progress.figures(None) == {
        "documents": 9,
        "sentences": 30,
        "mentions": 12,
        "source_tokens": 600,
        "seconds": 7.2,
        "deaths": 0,
        "tag_seconds": 4.0,
        "select_seconds": 1.3,
    }
    assert progress.figures(2.0)["cost_per_million_tokens"] == pytest.approx(2.0 * 7.2 / 3600 / 600 * 1e6, abs=1e-4)
    assert "cost_per_million_tokens" not in Progress().figures(2.0)
