"""Ray around a run: where it comes from, how tasks go over files, and what its errors say.

Invariant: what leaves this module is an error of ours; Ray's own never reach a person.
"""

import logging
import os
import re
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import ray
from ray.data.exceptions import SystemException

from llmner.cores import available_cores
from llmner.errors import ConfigError, JobFailedError, LlmnerError

MIN_CPUS = 5  # logical CPUs that reading, filtering, tagging, selecting and writing need side by side
_OBJECT_STORE = 1 << 30  # bytes
_TASKS_PER_CPU = 4
_REACHED_SECONDS = 5.0  # that the head of a cluster may take to answer; Ray itself waits for many minutes
_AUTHENTICATION = "RAY_AUTH_MODE"

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def own_ray() -> Iterator[None]:
    """Use Ray as it is, or that of RAY_ADDRESS as in a submitted job, or one of our own on this machine.

    Raises:
        ConfigError: RAY_ADDRESS is no address of a cluster.
        JobFailedError: Ray cannot be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address := os.environ.get("RAY_ADDRESS"):
        _join(address)
    else:
        _start()
    if threading.current_thread() is threading.main_thread() and on_sigterm is not None:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put one of its own there, which ends the process
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    """Join the cluster of RAY_ADDRESS."""
    if address.startswith(("http://", "https://")):
        raise ConfigError(
            f"RAY_ADDRESS is {address}, where jobs are submitted; a running job joins the head itself",
            hint="submit with `ray job submit`, or set RAY_ADDRESS to host:port of the head, mostly port 6379",
        )
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    try:
        if colon and port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED_SECONDS).close()
        ray.init(logging_level=logging.ERROR)
    except Exception as e:
        message = f"no Ray cluster can be joined at RAY_ADDRESS {address}: {_first_line(e)}"
        raise JobFailedError(message, hint="see that it runs; without RAY_ADDRESS Ray starts on this machine") from e


def _start() -> None:
    """Start Ray for this run alone: no one else may reach it, so it needs no token, which it would leave in HOME."""
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    os.environ.setdefault(_AUTHENTICATION, "disabled")
    try:
        ray.init(
            address="local",
            num_cpus=max(available_cores(), MIN_CPUS),
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as e:
        hint = f"its files go to {folder}/ray: set RAY_TMPDIR to another folder of yours, a short path in ASCII"
        raise JobFailedError(f"Ray cannot start on this machine: {_first_line(e)}", hint=hint) from e


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def share_of_cpu() -> float:
    """Return the CPUs that a task may reserve: one, or less on a machine that could not run all stages otherwise."""
    return float(min(1.0, ray.cluster_resources().get("CPU", 1.0) / MIN_CPUS))


def in_tasks(function: Callable[[T], R], items: Sequence[T], /) -> list[R]:
    """Call a function on each item, in tasks on the cluster; see ``dataset.files.ForEach``.

    Raises:
        JobFailedError: Ray lost tasks and could not run them again.
    """
    if not items:
        return []

    def on_several(some: Sequence[T]) -> list[R]:
        return [function(item) for item in some]

    tasks = _TASKS_PER_CPU * max(1, round(ray.cluster_resources().get("CPU", 1.0)))
    size = -(-len(items) // tasks)
    task = ray.remote(num_cpus=share_of_cpu())(on_several)
    try:
        running = [task.remote(items[first : first + size]) for first in range(0, len(items), size)]
        return list(chain.from_iterable(ray.get(running)))
    except ray.exceptions.RayTaskError as e:
        raise e.cause from e
    except ray.exceptions.RayError as e:
        raise JobFailedError(f"the job ended early: {telling_line(e)}", hint="run the same command again") from e


def is_of_ray(error: Exception) -> bool:
    """Return whether an error is Ray's, by its class or by the mark on what went wrong within Ray."""
    within = isinstance(error.__cause__, SystemException) and not isinstance(error, OSError | LlmnerError)
    return within or isinstance(error, ray.exceptions.RayError)


def telling_line(error: Exception) -> str:
    """Return the line of an error of Ray's that says what happened."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    telling = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return telling[-1] if telling else type(error).__name__
