"""What the processes of a run share, in one process: attempts, the error that ends the run, and counts.

Invariant: it lives as long as its run and no longer.
"""

from collections.abc import Callable
from typing import Any, Literal, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from llmner.errors import LlmnerError
from llmner.extraction.attempts import Attempts
from llmner.extraction.counts import Progress, Records, Tally
from llmner.extraction.mailbox import Mailbox

_ANSWER_SECONDS = 30.0  # that the state's process may take

Part = Literal["attempts", "mailbox", "records", "tally"]


class RunState:
    """The state of one run; a Ray actor holds it, and ``SharedState`` reaches it."""

    def __init__(self, resumed: int) -> None:
        self.attempts = Attempts()
        self.mailbox = Mailbox()
        self.records = Records()
        self.tally = Tally()
        self._resumed = resumed

    def call(self, part: Part, method: str, *args: Any) -> Any:
        """Call a method of one of the parts."""
        return getattr(getattr(self, part), method)(*args)

    def progress(self) -> Progress:
        """Return how far the run is."""
        return Progress(
            documents=self.tally.documents,
            mentions=self.tally.mentions,
            failed=self.tally.failed,
            source_tokens=self.tally.source_tokens,
            records=self.records.total,
            complete=self.records.complete,
            resumed=self._resumed,
            seconds=self.tally.seconds,
            deaths=self.attempts.deaths,
        )


class SharedState:
    """The state of a run as its driver and its workers reach it; it can be sent to other processes.

    Each call of a part waits until it is remembered; of ``records`` and ``tally`` there are only the methods.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.attempts = cast(Attempts, _RemotePart(actor, "attempts"))
        self.mailbox = cast(Mailbox, _RemotePart(actor, "mailbox"))
        self.records = cast(Records, _RemotePart(actor, "records"))
        self.tally = cast(Tally, _RemotePart(actor, "tally"))

    @classmethod
    def start(cls, *, resumed: int) -> "SharedState":
        """Start the process that holds a new state, on this node, for others may die.

        Args:
            resumed: Documents that are done already.
        """
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return cls(ray.remote(num_cpus=0, scheduling_strategy=here)(RunState).remote(resumed))

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
