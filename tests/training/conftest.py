"""One thread: on models this small, and on busy machines, more of them wait for one another longer than they work."""

from collections.abc import Iterator

import pytest
import torch

from llmner.models import loading


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of processes that a test starts
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers in float32, whatever this processor multiplies best, for tests whose results hold only so."""
    monkeypatch.setattr(loading, "number_type", lambda dtype, device: torch.float32)
