"""Ray around a run: where it comes from, how tasks go over files, and what its errors say.

Invariant: what leaves this module is an error of ours; Ray's own never reach a person.
"""

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import ray
from ray.data.exceptions import SystemException

from llmner.errors import JobFailedError, LlmnerError

MIN_CPUS = 5  # logical CPUs that reading, filtering, tagging, selecting and writing need side by side
_OBJECT_STORE = 1 << 30  # bytes
_TASKS_PER_CPU = 4

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def own_ray() -> Iterator[None]:
    """Use Ray as it is, or that of RAY_ADDRESS as in a submitted job, or one of our own on this machine.

    Raises:
        JobFailedError: Ray cannot be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if "RAY_ADDRESS" in os.environ:
            ray.init(logging_level=logging.ERROR)
        else:
            ray.init(
                address="local",
                num_cpus=max(os.cpu_count() or 1, MIN_CPUS),
                object_store_memory=_OBJECT_STORE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (OSError, RuntimeError, ValueError) as e:
        where = os.environ.get("RAY_ADDRESS", "on this machine")
        raise JobFailedError(f"Ray {where}: {e}", hint="see that it runs and that RAY_ADDRESS is right") from e
    if threading.current_thread() is threading.main_thread() and on_sigterm is not None:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put one of its own there, which ends the process
    try:
        yield
    finally:
        ray.shutdown()


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
