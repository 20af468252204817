"""How far a run is, and when too much of it fails."""

import pytest

from llmner.errors import TooManyFailedError
from llmner.extraction.counts import FEWEST, Tally, check_share


def test_a_share_of_failures_ends_a_run_once_there_are_enough_documents() -> None:
    tally = Tally()
    tally.add(FEWEST - 1, 0, ["TaggingError"] * (FEWEST - 1), 0)
    check_share(tally.documents, tally.reasons, 0.5)
    tally.add(1, 0, ["WorkerDiedError"], 0)
    with pytest.raises(TooManyFailedError, match=r"100 of 100 .*: TaggingError 99, WorkerDiedError 1"):
        check_share(tally.documents, tally.reasons, 0.5)
    check_share(tally.documents, tally.reasons, 1.0)


def test_half_is_allowed_and_more_is_not() -> None:
    check_share(200, {"TaggingError": 100}, 0.5)
    with pytest.raises(TooManyFailedError):
        check_share(200, {"TaggingError": 101}, 0.5)
