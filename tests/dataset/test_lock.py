"""Locks on a batch, between real processes, on a disk and on S3 over HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from s3fs import S3FileSystem

from llmner import storage
from llmner.dataset.lock import BatchLock, Holder
from llmner.errors import BatchLockedError, DatasetError

LEASE, LONGER = 1.2, 6.0  # seconds
HOLD = """
import sys, time
from llmner.dataset.lock import BatchLock
with BatchLock(sys.argv[1], lease=float(sys.argv[2])) as lock:
    print("held", flush=True)
    sys.stdin.readline()
    print(lock.lost, lock.held(), flush=True)
"""
SERVE = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
time.sleep(600)
"""


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder for locks."""
    return str(tmp_path / "lock") if request.param == "disk" else f"s3://{request.getfixturevalue('bucket')}/lock"


def hold(place: str, lease: float = LEASE) -> subprocess.Popen[str]:
    """A process that holds a lock until it is written to; then it says whether it has lost it, and whether it holds."""
    command = [sys.executable, "-c", HOLD, place, str(lease)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def write(place: str, number: int, **values: object) -> None:
    """Write the lock of a run elsewhere."""
    holder = Holder(token="x", host="elsewhere", processes="other", pid=1, born="1", lease=LEASE)
    content = holder.model_copy(update=values).model_dump_json()
    storage.write_whole(storage.join(place, f"{number:08d}.lock"), content.encode())


def test_a_second_run_is_refused_and_told_who_holds(place: str) -> None:
    with BatchLock(place, lease=LEASE) as lock:
        assert lock.held()
        with pytest.raises(BatchLockedError, match=str(os.getpid())), BatchLock(place, lease=LEASE):
            pass
        time.sleep(LEASE)
        assert lock.held(), "the lease is renewed"
    with BatchLock(place, lease=LEASE) as lock:
        assert lock.held()


def test_a_killed_holder_on_this_machine_is_replaced_at_once(tmp_path: Path) -> None:
    holder = hold(str(tmp_path), lease=3600)
    holder.kill()
    holder.wait()
    with BatchLock(str(tmp_path), lease=3600) as lock:
        assert lock.held()


def test_two_containers_with_one_host_name_are_two_owners(tmp_path: Path) -> None:
    with BatchLock(str(tmp_path), lease=LEASE):
        [file] = tmp_path.glob("*.lock")
        mine = Holder.model_validate_json(file.read_bytes())
    gone = mine.model_copy(update={"pid": 2**31 - 1, "released": False, "processes": "another container's"})
    file.write_text(gone.model_dump_json())
    begun = time.monotonic()
    with BatchLock(str(tmp_path), lease=LEASE):
        assert time.monotonic() - begun > LEASE, "that its process is not to be seen here says nothing"


def test_a_silent_holder_elsewhere_is_replaced_after_a_lease(place: str) -> None:
    write(place, 4)
    begun = time.monotonic()
    with BatchLock(place, lease=LEASE) as lock:
        assert time.monotonic() - begun > LEASE
        assert lock.held()
    assert storage.list_names(place) == ["00000005.lock"], "a number is never used again"


def test_clocks_that_differ_by_ten_minutes_change_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = hold(place)
    clock = time.time
    for skew in (-600, 600):
        monkeypatch.setattr(time, "time", lambda skew=skew: clock() + skew)
        with pytest.raises(BatchLockedError), BatchLock(place, lease=LEASE):
            pass
    said, _ = holder.communicate("\n")
    assert said == "False True\n"


def test_a_suspended_owner_that_wakes_up_after_a_takeover_knows_that_it_has_lost(place: str) -> None:
    holder = hold(place)
    holder.send_signal(signal.SIGSTOP)
    with BatchLock(place, lease=LEASE) as lock:
        holder.send_signal(signal.SIGCONT)
        said, _ = holder.communicate("\n")
        assert said == "True False\n"
        assert lock.held()
    with BatchLock(place, lease=LEASE) as lock:
        assert lock.held()


def test_a_lock_that_comes_back_is_not_taken_for_the_old_one(place: str) -> None:
    holder = hold(place)
    holder.send_signal(signal.SIGSTOP)
    for _ in range(2):  # taken over, released and taken again
        with BatchLock(place, lease=LEASE):
            pass
    with BatchLock(place, lease=LEASE) as lock:
        holder.send_signal(signal.SIGCONT)
        holder.communicate("\n")
        assert lock.held(), "what the old owner writes last does not touch the new one"


def test_an_owner_whose_renewal_is_overdue_stops_before_another_may_take_over(place: str) -> None:
    with BatchLock(place, lease=LEASE) as lock:
        lock._stop.set()  # no renewal comes through any more
        time.sleep(LEASE * 0.9)
        assert lock.lost
        assert not lock.held()


def test_of_many_that_come_at_once_one_gets_it(place: str) -> None:
    def attempt(_: int) -> int:
        try:
            with BatchLock(place, lease=30.0):
                time.sleep(5)
                return 1
        except BatchLockedError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


@pytest.mark.parametrize(("name", "content"), [("00000000.lock", ""), ("00000000.lock", "{}"), ("mine.lock", "x")])
def test_a_file_that_is_no_lock_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=f"{name}: not a lock"), BatchLock(str(tmp_path)):
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, s3_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """An S3 server in a process of its own, which can be suspended."""
    command = [sys.executable, "-c", SERVE]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    for key, value in {**s3_environment, "AWS_ENDPOINT_URL": server.stdout.readline().strip()}.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="locks")
    S3FileSystem.clear_instance_cache()
    yield server
    server.kill()
    server.wait()
    S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize(("outage", "survives"), [(0.3, True), (1.5, False)])
def test_an_outage_of_the_server(server: subprocess.Popen[str], outage: float, survives: bool) -> None:
    with BatchLock("s3://locks/batch", lease=LONGER) as lock:
        server.send_signal(signal.SIGSTOP)
        time.sleep(LONGER * outage)
        assert lock.lost is not survives
        server.send_signal(signal.SIGCONT)
        time.sleep(LONGER / 2)
        assert lock.held(), "nobody else has come, and renewal goes on once the server is back"
