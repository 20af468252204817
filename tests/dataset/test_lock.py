"""Locks on a batch, between real processes."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmner.dataset.lock import BatchLock
from llmner.errors import BatchLockedError, DatasetError

HOLD = """
import sys, time
from llmner.dataset.lock import BatchLock
with BatchLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    url = str(tmp_path / "lock")
    with BatchLock(url) as lock:
        assert lock.held()
        with pytest.raises(BatchLockedError, match=str(os.getpid())), BatchLock(url):
            pass
    with BatchLock(url) as lock:
        assert lock.held()
    assert not list(tmp_path.rglob("*.lock"))


def test_a_killed_holder_on_this_host_is_replaced_at_once(tmp_path: Path) -> None:
    url = str(tmp_path / "lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BatchLockedError), BatchLock(url):
        pass
    holder.kill()
    holder.wait()
    with BatchLock(url) as lock:
        assert lock.held()


def test_a_silent_holder_elsewhere_is_replaced_when_its_lease_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "lock"
    folder.mkdir()
    holder = {"token": "x", "host": "elsewhere", "pid": 1, "born": 0.0, "expires": time.time() + 1.0}
    (folder / "00000004.lock").write_text(json.dumps(holder))
    with pytest.raises(BatchLockedError, match="elsewhere"), BatchLock(str(folder)):
        pass
    time.sleep(1.1)
    with BatchLock(str(folder)) as lock:
        assert lock.held()


def test_who_lost_the_lock_knows_it_though_the_file_has_the_same_name(tmp_path: Path) -> None:
    with BatchLock(str(tmp_path)) as lock:
        [file] = tmp_path.glob("*.lock")
        other = {**json.loads(file.read_text()), "token": "another run"}
        file.write_text(json.dumps(other))
        assert not lock.held()
    assert json.loads(file.read_text()) == other, "a lock that is not ours is not removed"


def test_a_file_that_is_no_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000000.lock").write_text("")
    with pytest.raises(DatasetError, match=r"00000000\.lock: not a lock"), BatchLock(str(tmp_path)):
        pass


def test_a_lease_is_renewed(tmp_path: Path) -> None:
    with BatchLock(str(tmp_path), lease=0.4):
        [file] = tmp_path.glob("*.lock")
        before = json.loads(file.read_text())["expires"]
        time.sleep(0.6)
        assert json.loads(file.read_text())["expires"] > before


def test_of_many_that_come_at_once_one_gets_it(tmp_path: Path) -> None:
    def attempt(_: int) -> int:
        try:
            with BatchLock(str(tmp_path)):
                time.sleep(0.5)
                return 1
        except BatchLockedError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_the_same_on_s3(bucket: str) -> None:
    url = f"s3://{bucket}/data/.locks/b"
    with BatchLock(url) as lock:
        assert lock.held()
        with pytest.raises(BatchLockedError), BatchLock(url):
            pass
    with BatchLock(url) as lock:
        assert lock.held()
