"""What the processes of a run share, in one process: attempts, the error that ends the run, and counts.

Invariant: it lives as long as one start of its run and no longer, and so do the run's workers, though Ray may leave
some over when it ends a run. Only the documents that are suspected of killing workers are remembered longer: in
storage, until the batch is committed.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import ray
from pydantic import TypeAdapter, ValidationError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from llmner import storage
from llmner.errors import AccessError, DatasetError, LlmnerError, StorageError
from llmner.extraction.attempts import Attempts, Suspect
from llmner.extraction.counts import Progress, Pulse, Records, Tally
from llmner.extraction.mailbox import Mailbox
from llmner.extraction.metrics import Metrics

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 30.0  # that the state's process may take
_SUSPECTS = TypeAdapter(list[Suspect])

Part = Literal["attempts", "mailbox", "pulse", "records", "tally"]


class RunState:
    """The state of one run; a Ray actor holds it, and ``SharedState`` reaches it.

    Args:
        run_id: The run, for the metrics.
        resumed: Documents that are done already.
        memory: File that keeps the suspects.
        suspects: What is in it.
        price: Of an hour, for the metrics; None where it is not known.
    """

    def __init__(self, run_id: str, resumed: int, memory: str, suspects: list[Suspect], price: float | None) -> None:
        self.attempts = Attempts(suspects)
        self.mailbox = Mailbox()
        self.pulse = Pulse()
        self.records = Records()
        self.tally = Tally()
        self._resumed = resumed
        self._memory = memory
        self._kept = suspects
        self._metrics = Metrics(run_id, price)

    def call(self, part: Part, method: str, *args: Any) -> Any:
        """Call a method of one of the parts."""
        result = getattr(getattr(self, part), method)(*args)
        if part != "mailbox":  # which idle workers look into, too
            self.pulse.beat()
        if part == "attempts" and (suspects := self.attempts.suspects()) != self._kept:
            self._keep(suspects)
        if part in ("records", "tally"):
            self._metrics.show(self.progress())
        return result

    def _keep(self, suspects: list[Suspect]) -> None:
        try:
            storage.write_whole(self._memory, _SUSPECTS.dump_json(suspects))
        except (AccessError, StorageError):
            logger.warning("documents that kill workers could not be noted for a later start", exc_info=True)
        else:
            self._kept = suspects

    def progress(self) -> Progress:
        """Return how far the run is."""
        return Progress(
            documents=self.tally.documents,
            mentions=self.tally.mentions,
            reasons=dict(self.tally.reasons),
            source_tokens=self.tally.source_tokens,
            sentences=self.tally.sentences,
            spent=dict(self.tally.spent),
            records=self.records.total,
            complete=self.records.complete,
            resumed=self._resumed,
            seconds=self.tally.seconds,
            deaths=self.attempts.deaths,
            memory=self.tally.memory,
            idle=self.pulse.idle,
        )


class SharedState:
    """The state of a run as its driver and its workers reach it; it can be sent to other processes.

    Each call of a part waits until it is remembered; of ``pulse``, ``records`` and ``tally`` there are only methods.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.attempts = cast(Attempts, _RemotePart(actor, "attempts"))
        self.mailbox = cast(Mailbox, _RemotePart(actor, "mailbox"))
        self.pulse = cast(Pulse, _RemotePart(actor, "pulse"))
        self.records = cast(Records, _RemotePart(actor, "records"))
        self.tally = cast(Tally, _RemotePart(actor, "tally"))

    @classmethod
    @contextmanager
    def of_run(cls, run_id: str, *, resumed: int, memory: str, price: float | None) -> Iterator["SharedState"]:
        """Have a process that holds a new state, on this node, for others may die; it ends with the context.

        Args:
            run_id: The run, for the metrics.
            resumed: Documents that are done already.
            memory: File that keeps the documents that are suspected of killing workers.
            price: Of an hour, for the metrics; None where it is not known.

        Raises:
            DatasetError: The file cannot be read.
        """
        content = storage.read_bytes(memory)
        try:
            suspects = [] if content is None else _SUSPECTS.validate_json(content)
        except ValidationError as e:
            raise DatasetError(f"{memory}: cannot be read: {e}", hint="remove it, and run again") from e
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        held = ray.remote(num_cpus=0, scheduling_strategy=here)(RunState)
        state = cls(held.remote(run_id, resumed, memory, suspects, price))
        try:
            yield state
        finally:
            state._actor.__ray_terminate__.remote()  # once it has answered all; its last metrics are shown

    def progress(self) -> Progress:
        """Return how far the run is.

        Raises:
            RayError: The process does not answer.
        """
        progress: Progress = ray.get(self._actor.progress.remote(), timeout=_ANSWER_SECONDS)
        return progress

    def end(self) -> None:
        """End the process that holds the state, and with it the run: no worker can begin or end anything without it."""
        ray.kill(self._actor)

    def error(self) -> LlmnerError | None:
        """Return the error of ours that ends the run; None as well where the process does not answer."""
        try:
            error: LlmnerError | None = ray.get(self._actor.call.remote("mailbox", "read"), timeout=_ANSWER_SECONDS)
        except ray.exceptions.RayError:
            return None
        return error


class _RemotePart:
    """A part of the state: calling a method of it calls the method there."""

    def __init__(self, actor: Any, part: Part) -> None:
        self._actor = actor
        self._part = part

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):  # what pickle asks for before there is an actor
            raise AttributeError(method)
        return lambda *args: ray.get(self._actor.call.remote(self._part, method, *args))
