"""What failed is tried again: the files of a commit in which documents failed or were rejected are read once more.

A batch of its own stands right behind the commit. The ledger knows what was tagged, so only the rest goes to the model;
and whatever was committed since is newer still.

Invariant: a commit is tried at most ``MAX_TRIES`` times over all nights; what has failed then is given up.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmner.config import JobConfig
from llmner.dataset.layout import Layout
from llmner.dataset.lock import BatchLock
from llmner.dataset.manifest import Manifest, read_manifests
from llmner.errors import InputNotFoundError
from llmner.extraction.cluster import own_ray
from llmner.extraction.models import Loadable, Selection
from llmner.extraction.pipeline import OnProgress
from llmner.extraction.run import Extracted, extract
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)

MAX_TRIES = 3  # the first one and those that follow it


@dataclass
class Retried:
    """What came of it.

    Attributes:
        batches: What was tried again, a batch for each commit.
        left: Why commits were not tried: a file of theirs is gone.
        given_up: Commits that were tried often enough, by number, with their documents that failed in the end.
    """

    batches: list[Extracted] = field(default_factory=list)
    left: list[InputNotFoundError] = field(default_factory=list)
    given_up: dict[int, int] = field(default_factory=dict)


def retry_failed(
    config: JobConfig,
    *,
    generator: Loadable[Engine],
    selection: Selection | None = None,
    on_progress: OnProgress = lambda _: None,
    on_batch: Callable[[Extracted], None] = lambda _: None,
) -> Retried:
    """Try again what failed in the commits of a job's data set.

    Args:
        config: The job; its inputs do not matter.
        generator: Finds mentions.
        selection: Judges them; None where no selector runs.
        on_progress: Called about once a second, from another thread.
        on_batch: Called with each batch when it is committed.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed; batches that are committed stay.
    """
    layout = Layout.at(config.output)
    retried = Retried()
    last_tries = [tries for tries in all_tries(read_manifests(layout)) if _failed(tries[-1])]
    if not last_tries:
        return retried
    with BatchLock(layout.nightly_locks), own_ray():
        for tries in last_tries:
            first, last = tries[0], tries[-1]
            if len(tries) == MAX_TRIES:
                retried.given_up[first.commit] = _failed(last)
                continue
            inputs = tuple(i.uri for i in last.inputs if i.counts.get("failed") or i.counts.get("rejected"))
            name = f"{first.batch[:90]}-try-{len(tries) + 1}"
            job = config.model_copy(update={"inputs": inputs, "batch": name, "limit": None})
            try:
                extracted = extract(
                    job, generator=generator, selection=selection, on_progress=on_progress, retries=first.commit
                )
            except InputNotFoundError as e:
                logger.error("commit %d is not tried again: %s", first.commit, e)
                retried.left.append(e)
                continue
            retried.batches.append(extracted)
            on_batch(extracted)
    return retried


def all_tries(manifests: Sequence[Manifest]) -> list[list[Manifest]]:
    """Return the tries of each commit, the first one first."""
    tries = {m.commit: [m] for m in manifests if m.retries is None}
    for m in manifests:
        if m.retries is not None:
            tries[m.retries].append(m)
    return list(tries.values())


def _failed(manifest: Manifest) -> int:
    """Return how many documents failed or were rejected."""
    return manifest.counts.get("failed", 0) + manifest.counts.get("rejected", 0)
