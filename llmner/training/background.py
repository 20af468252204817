"""A training that runs beneath all other work of a machine, for days.

It is detached from the terminal, has the lowest priority, writes a log, ends with a checkpoint on SIGTERM, and pauses
while tests or benchmarks run, which would take each other's time.

Invariant: one training an output; locks are held on open files, so the system releases those of a dead process.
"""

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from transformers import TrainerCallback

from llmner.cores import available_cores
from llmner.models.cache import cache_root
from llmner.training.callbacks import stop_asked

logger = logging.getLogger(__name__)

# Memory that glibc gives back is handed out again page by page, zeroed, which took more than half of a step's time:
# with all freed memory kept, in huge pages, a step is 2.3 times as fast. But batches differ in size, and what is kept
# grows from 3 to 7 GB a process; where that is too much, memory is given back from a megabyte on.
_KEPT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776"}
_GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
_ROOM = 8 << 30  # bytes a process, free at the start, that keeping takes
_LAST_STEP = 1800  # seconds after SIGTERM in which a step and a checkpoint end, on a machine that does much else
_LOOK = 0.1  # seconds that a look takes by far
_POLL = 5.0  # seconds between two looks whether the machine is free again


def runs_root() -> Path:
    """Return where such trainings keep log and checkpoints: ``LLMNER_RUNS``, or ``runs`` in the cache folder."""
    return Path(os.environ.get("LLMNER_RUNS") or cache_root() / "runs")


def start(command: Sequence[str], folder: Path, *, processes: int) -> tuple[int, bool]:
    """Start a training in the background, unless it runs already.

    Args:
        command: Arguments of Python; a script that trains.
        folder: The run's output; made if need be. ``log.txt`` and ``pid`` in it are the run's.
        processes: How many share the work, each on one core.

    Returns:
        The process's id, and whether it was started now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pid = folder / "pid"
    with pid.open("a+") as lock, (folder / "log.txt").open("a") as log:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return int(lock.read()), False
        options = ["--standalone", f"--nproc-per-node={processes}", f"--shutdown-timeout={_LAST_STEP}"]
        distributed = ["-m", "torch.distributed.run", *options]
        memory = _KEPT if psutil.virtual_memory().available >= _ROOM * processes else _GIVEN_BACK
        process = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, *(distributed if processes > 1 else []), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **memory, "OMP_NUM_THREADS": str(max(1, available_cores() // processes))},
            pass_fds=[lock.fileno()],  # the lock is the training's as long as it lives
        )
        lock.truncate(0)
        lock.write(str(process.pid))
    return process.pid, True


def yield_to_others() -> None:
    """Give this process's session the lowest priority.

    Where Linux shares out time by session, a process's own priority counts within its session alone; and each process
    of a distributed training has a session of its own.
    """
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


@contextmanager
def busy() -> Iterator[None]:
    """Let the trainings of this machine pause; several may ask for it at once."""
    with _marker() as marker:
        fcntl.flock(marker, fcntl.LOCK_SH)
        yield


@contextmanager
def _marker() -> Iterator[Any]:
    runs_root().mkdir(parents=True, exist_ok=True)
    with (runs_root() / "busy").open("a") as marker:
        yield marker


class Pause(TrainerCallback):
    """Lets a training wait before each step until nobody is busy, or it is asked to stop."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Wait until the machine is free."""
        if self._free() or (not stop_asked.wait(_LOOK) and self._free()):  # another training may have looked just then
            return
        logger.info("pausing before step %d", state.global_step + 1)
        while not self._free() and not stop_asked.wait(_POLL):
            pass
        logger.info("going on")

    @staticmethod
    def _free() -> bool:
        with _marker() as marker:
            try:
                fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True
