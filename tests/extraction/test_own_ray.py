"""Ray that cannot be had: one line in seconds, with the variable to set."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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


# A user without rights: their processes may not do what file permissions forbid.
USER = ("unshare", "--user")
SMALL_MEMORY = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=32m tmpfs /dev/shm && exec "$@"', "sh")
needs_namespaces = pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-m", "--", *USER, "true"], check=False).returncode != 0,
    reason="no right to make namespaces",
)


def said(*prefix: str, **environment: str) -> str:
    """What comes of using Ray in a process with such an environment, run by the command before it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    command, env = [*prefix, sys.executable, "-c", USE], {**inherited, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=250, check=True)
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


@needs_namespaces
def test_a_folder_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    line = said(*USER, RAY_TMPDIR=str(tmp_path))
    assert line.count("\n") == 1
    assert "JobFailedError: Ray cannot start on this machine" in line
    assert "Permission denied" in line
    assert "set RAY_TMPDIR to another folder of yours" in line


@needs_namespaces
@pytest.mark.slow
def test_two_at_once_without_rights_or_memory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    with (
        tempfile.TemporaryDirectory(prefix="a b") as one,
        tempfile.TemporaryDirectory() as other,
        ThreadPoolExecutor() as pool,
    ):
        restricted = pool.submit(said, *SMALL_MEMORY, *USER, RAY_TMPDIR=one, HOME=str(home))
        beside = pool.submit(said, RAY_TMPDIR=other)
        assert (restricted.result(), beside.result()) == ("ran\n", "ran\n")


@pytest.mark.slow
def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, so that nothing can be made in it")
    assert said(HOME=str(tmp_path / "home")) == "ran\n"
