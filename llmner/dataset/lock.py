"""A lock on a batch, kept in the data set's own storage, so that two runs never write one batch at once.

Invariant: locks are numbered files, and a number is created by exactly one run, with a token that nobody else knows;
the file with the highest number holds. A holder renews its lease; a lease that ran out, or whose process is gone from
this host, is taken over by creating the next number, which again only one run can.
"""

import logging
import os
import socket
import threading
import time
import uuid
from types import TracebackType

from pydantic import ValidationError

from llmner import storage
from llmner.dataset.records import Part
from llmner.errors import AccessError, BatchLockedError, DatasetError, StorageError

logger = logging.getLogger(__name__)


class Holder(Part):
    """What a lock's file says.

    Attributes:
        token: Tells the holder from every other one.
        host: Name of its machine.
        pid: Its process.
        born: When that process started, seconds since the epoch.
        expires: When the lease ends, seconds since the epoch.
    """

    token: str
    host: str
    pid: int
    born: float
    expires: float


class BatchLock:
    """Context manager that holds a lock as long as its block runs.

    Args:
        uri: Folder for the lock's files.
        lease: Seconds after which a silent holder counts as dead; renewed four times as often.
    """

    def __init__(self, uri: str, *, lease: float = 60.0) -> None:
        self._uri = uri
        self._lease = lease
        self._token = uuid.uuid4().hex
        self._name = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="batch-lock", daemon=True)

    def __enter__(self) -> "BatchLock":
        names = self._names()
        if names and (holder := self._read(names[-1])) is not None and not _dead(holder):
            raise BatchLockedError(
                f"another run is writing this batch: process {holder.pid} on {holder.host}",
                hint=f"wait for it; should it be dead, its lock ends by itself within {self._lease:.0f} s",
            )
        number = int(names[-1].partition(".")[0]) + 1 if names else 0
        self._name = f"{number:08d}.lock"
        if not storage.write_new(storage.join(self._uri, self._name), self._content()):
            raise BatchLockedError("another run has just begun to write this batch", hint="wait for it")
        if names:
            logger.warning("took over the lock of a dead run")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.held():
            for name in self._names():
                storage.remove(storage.join(self._uri, name))

    def held(self) -> bool:
        """Return whether this run still holds the batch: no other run took it for dead."""
        names = self._names()
        holder = self._read(names[-1]) if names else None
        return holder is not None and holder.token == self._token

    def _names(self) -> list[str]:
        return storage.list_names(self._uri, ".lock")

    def _content(self) -> bytes:
        import psutil

        me = Holder(
            token=self._token,
            host=socket.gethostname(),
            pid=os.getpid(),
            born=psutil.Process().create_time(),
            expires=time.time() + self._lease,
        )
        return me.model_dump_json().encode()

    def _renew(self) -> None:
        while not self._stop.wait(self._lease / 4):
            try:
                if self.held():
                    storage.write_whole(storage.join(self._uri, self._name), self._content())
            except (AccessError, StorageError):
                logger.warning("the batch's lock could not be renewed, trying again", exc_info=True)

    def _read(self, name: str) -> Holder | None:
        """Return what a lock's file says; None where it has just been removed."""
        uri = storage.join(self._uri, name)
        content = storage.read_bytes(uri)
        if content is None:
            return None
        try:
            return Holder.model_validate_json(content)
        except ValidationError as e:
            raise DatasetError(f"{uri}: not a lock: {e}", hint="remove it if no run is writing this batch") from e


def _dead(holder: Holder) -> bool:
    """Return whether a holder's lease ran out, or its process is gone from this host."""
    import psutil

    if holder.expires <= time.time():
        return True
    if holder.host != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(holder.pid).create_time() - holder.born) >= 1.0
    except psutil.NoSuchProcess:
        return True
