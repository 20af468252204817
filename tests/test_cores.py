"""Cores that this process may use."""

import os
from pathlib import Path

import pytest

from llmner.cores import available_cores


@pytest.mark.parametrize(("written", "cores"), [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1)])
def test_the_quota_of_a_container_counts(tmp_path: Path, written: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(f"{written}\n")
    assert available_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


def test_the_older_way_to_write_a_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    for quota, cores in (("100000\n", 1), ("-1\n", len(os.sched_getaffinity(0)))):
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
        assert available_cores(tmp_path) == cores


def test_affinity_counts(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)
