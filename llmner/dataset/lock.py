"""A lock on a batch, kept in the data set's own storage, so that two runs never write one batch at once.

Locks are numbered files. A number is created by exactly one run, and never again; the file with the highest number
holds. A holder changes its file again and again. One whose file has not changed for a whole lease, by the clock of the
run that watches it, is taken over by creating the next number, which again only one run can.

Invariant: no clock of one machine is compared with that of another. A holder that could not renew for most of a lease
counts itself as lost before anybody else may take over.
"""

import logging
import os
import re
import secrets
import socket
import threading
import time
from pathlib import Path
from types import TracebackType

from pydantic import Field, ValidationError

from llmner import storage
from llmner.dataset.records import Part
from llmner.errors import AccessError, BatchLockedError, DatasetError, StorageError

logger = logging.getLogger(__name__)

_RENEWALS = 12  # that a lease is due
_OVERDUE = 0.75  # of a lease without a renewal, after which a holder stops
_NAME = re.compile(r"\d{8}\.lock")


class Holder(Part):
    """What a lock's file says.

    Attributes:
        token: Tells the holder from every other one.
        host: Name of its machine, for messages.
        processes: Tells the process numbers of its machine or container from those of others; empty where unknown.
        pid: Its process.
        born: When that process started, in ticks since the start of the machine; empty where unknown.
        lease: Seconds without a change after which it counts as dead.
        renewals: How often it has renewed its lease.
        released: Whether it is through.
    """

    token: str
    host: str
    processes: str
    pid: int = Field(gt=0, lt=2**31)
    born: str
    lease: float = Field(gt=0, allow_inf_nan=False)
    renewals: int = 0
    released: bool = False


class BatchLock:
    """Context manager that holds a lock as long as its block runs.

    A run that finds a holder watches it: until it renews, which refuses the run, or for a lease, which replaces it.

    Args:
        uri: Folder for the lock's files.
        lease: Seconds after which a silent holder counts as dead.
    """

    def __init__(self, uri: str, *, lease: float = 60.0) -> None:
        self._uri = uri
        self._lease = lease
        self._me = _this_process(lease)
        self._file = ""
        self._renewed = 0.0
        self._taken = False  # by another run
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="batch-lock", daemon=True)

    def __enter__(self) -> "BatchLock":
        names = self._names()
        if names:
            self._outwait(storage.join(self._uri, names[-1]))
        number = int(names[-1].partition(".")[0]) + 1 if names else 0
        self._file = storage.join(self._uri, f"{number:08d}.lock")
        self._renewed = _now()
        if not storage.write_new(self._file, self._me.model_dump_json().encode()):
            raise BatchLockedError("another run has just begun to write this batch", hint="wait for it")
        self._thread.start()
        for name in names:
            storage.remove(storage.join(self._uri, name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        try:
            if self._is_mine():
                self._write(released=True)  # the number stays used: no later lock has the name of this one
        except (AccessError, StorageError, DatasetError):
            logger.warning("the batch's lock could not be released; it ends within %.0f s", self._lease, exc_info=True)

    @property
    def lost(self) -> bool:
        """Whether this run must stop: another one took the batch, or may before the next renewal. Asks no storage."""
        return self._taken or _now() - self._renewed > self._lease * _OVERDUE

    def held(self) -> bool:
        """Return whether the batch is this run's: the lease is renewed, and storage says so, too."""
        return not self.lost and self._is_mine()

    def _outwait(self, uri: str) -> None:
        """Return once a lock's holder is through or counts as dead.

        Raises:
            BatchLockedError: The holder renews its lease.
        """
        holder = seen = self._read(uri)
        since = _now()
        while holder is not None and not holder.released and not _is_gone(holder):
            if holder != seen:
                message = f"another run is writing this batch: process {holder.pid} on {holder.host}"
                raise BatchLockedError(message, hint="wait for it")
            if _now() - since > holder.lease:
                logger.warning("took over from a run that is silent: process %d on %s", holder.pid, holder.host)
                return
            time.sleep(holder.lease / _RENEWALS / 2)
            holder = self._read(uri)

    def _names(self) -> list[str]:
        names = storage.list_names(self._uri, ".lock")
        for name in names:
            if not _NAME.fullmatch(name):
                raise _no_lock(storage.join(self._uri, name), "its name is no number")
        return names

    def _is_mine(self) -> bool:
        """Return whether the newest lock has this run's token."""
        names = self._names()
        holder = self._read(storage.join(self._uri, names[-1])) if names else None
        return holder is not None and secrets.compare_digest(holder.token, self._me.token)

    def _renew(self) -> None:
        while not self._stop.wait(self._lease / _RENEWALS):
            begun = _now()
            try:
                if not self._is_mine():
                    self._taken = True
                    return
                self._write(renewals=self._me.renewals + 1)
            except Exception:  # whatever it is, the next attempt may do better; the lease decides
                logger.warning("the batch's lock could not be renewed, trying again", exc_info=True)
            else:
                self._renewed = begun

    def _write(self, **changes: object) -> None:
        self._me = self._me.model_copy(update=changes)
        storage.write_whole(self._file, self._me.model_dump_json().encode())

    def _read(self, uri: str) -> Holder | None:
        """Return what a lock's file says; None where it has just been removed."""
        content = storage.read_bytes(uri)
        if content is None:
            return None
        try:
            return Holder.model_validate_json(content)
        except ValidationError as e:
            raise _no_lock(uri, str(e)) from e


def _no_lock(uri: str, why: str) -> DatasetError:
    return DatasetError(f"{uri}: not a lock: {why}", hint="remove it if no run is writing this batch")


def _now() -> float:
    """Return seconds on a clock that goes on while the process or the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _this_process(lease: float) -> Holder:
    return Holder(
        token=secrets.token_hex(16),
        host=socket.gethostname(),
        processes=_processes(),
        pid=os.getpid(),
        born=_born(os.getpid()),
        lease=lease,
    )


def _processes() -> str:
    """Return what tells this machine's or container's process numbers from others; a host's name does not."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Return when a process started; empty where that cannot be seen or it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "XZ" else fields[18]


def _is_gone(holder: Holder) -> bool:
    """Return whether a holder's process is known to be gone; that of another machine or container never is."""
    if not holder.processes or holder.processes != _processes():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's; it is there, and may be hidden
        return False
    return _born(holder.pid) != holder.born
