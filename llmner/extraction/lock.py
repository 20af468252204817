"""A lock on a batch, kept in the data set's own storage, so that two runs never write one batch at once.

Invariant: locks are numbered files, and a number is created by exactly one run; the highest number holds. A
holder renews its lease; a lease that ran out, or whose process is gone from this host, is taken over by creating
the next number, which again only one can.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from types import TracebackType
from typing import Any

import psutil

from llmner import storage
from llmner.errors import BatchLockedError

logger = logging.getLogger(__name__)


class BatchLock:
    """Context manager that holds a lock as long as its block runs.

    Args:
        url: Folder for the lock's files.
        lease: Seconds after which a silent holder counts as dead; renewed four times as often.
    """

    def __init__(self, url: str, *, lease: float = 60.0) -> None:
        self._url = url
        self._lease = lease
        self._owner = uuid.uuid4().hex
        self._name = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="batch-lock", daemon=True)

    def __enter__(self) -> "BatchLock":
        names = storage.list_names(self._url, ".lock")
        if names and (holder := self._holder(names[-1])) is not None:
            raise BatchLockedError(
                f"another run is writing this batch: process {holder['pid']} on {holder['host']}",
                hint=f"wait for it; should it be dead, its lock ends by itself within {self._lease:.0f} s",
            )
        number = int(names[-1].partition(".")[0]) + 1 if names else 0
        self._name = f"{number:08d}.lock"
        if not storage.write_new(storage.join(self._url, self._name), self._content()):
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
            for name in storage.list_names(self._url, ".lock"):
                storage.remove(storage.join(self._url, name))

    def held(self) -> bool:
        """Whether this run still holds the batch: nobody took it for dead."""
        names = storage.list_names(self._url, ".lock")
        return bool(names) and names[-1] == self._name

    def _content(self) -> bytes:
        me = {"owner": self._owner, "host": socket.gethostname(), "pid": os.getpid()}
        me |= {"born": psutil.Process().create_time(), "expires": time.time() + self._lease}
        return json.dumps(me).encode()

    def _renew(self) -> None:
        while not self._stop.wait(self._lease / 4):
            try:
                if self.held():
                    storage.write_whole(storage.join(self._url, self._name), self._content())
            except OSError:
                logger.warning("the batch's lock could not be renewed, trying again", exc_info=True)

    def _holder(self, name: str) -> dict[str, Any] | None:
        """The living holder of a lock file, or None."""
        content = storage.read_bytes(storage.join(self._url, name))
        if content is None:
            return None
        holder: dict[str, Any] = json.loads(content)
        if holder["host"] == socket.gethostname() and not _alive(holder["pid"], holder["born"]):
            return None
        return holder if holder["expires"] > time.time() else None


def _alive(pid: int, born: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - born) < 1.0
    except psutil.NoSuchProcess:
        return False
