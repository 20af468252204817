"""Ray that cannot be had: one line in seconds, with the variable to set."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

USE = """
from llmner.errors import LlmnerError
from llmner.extraction.cluster import own_ray
try:
    with own_ray():
        print("ran")
except LlmnerError as e:
    print(f"{type(e).__name__}: {e}")
"""


def said(**environment: str) -> str:
    """What comes of using Ray in a process with such an environment."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", USE], env={**inherited, **environment}, capture_output=True, text=True, timeout=250,
        check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:8265", ["ConfigError", "ray job submit", "6379"]),
        ("127.0.0.1:9", ["JobFailedError", "127.0.0.1:9", "Connection refused"]),
    ],
)
def test_an_address_where_no_cluster_is(address: str, words: list[str]) -> None:
    begun = time.monotonic()
    line = said(RAY_ADDRESS=address)
    assert line.count("\n") == 1
    for word in (*words, "RAY_ADDRESS"):
        assert word in line
    assert time.monotonic() - begun < 120, "Ray itself tries for a quarter of an hour"


def test_a_folder_whose_path_is_too_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    line = said(RAY_TMPDIR=str(folder))
    assert line.count("\n") == 1
    assert "JobFailedError: Ray cannot start on this machine" in line
    assert "set RAY_TMPDIR to another folder" in line


@pytest.mark.slow
def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, so that nothing can be made in it")
    assert said(HOME=str(tmp_path / "home")) == "ran\n"
