"""A night: the files of a sequence of updates that the data set does not hold yet, each a batch of its own.

Invariant: a file is in the data set once its batch is committed, and is known by its name and size. A file with a wrong
checksum is left for another night, never skipped: it is late then, and its name still says what it is newer than.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llmner.config import JobConfig
from llmner.dataset.layout import Layout
from llmner.dataset.lock import BatchLock
from llmner.dataset.manifest import Draft, Manifest, commit, read_manifests
from llmner.dataset.schema import SCHEMA_VERSION
from llmner.errors import ConfigError, InputError
from llmner.extraction.cluster import own_ray
from llmner.extraction.models import Loadable, Selection
from llmner.extraction.pipeline import OnProgress
from llmner.extraction.run import Extracted, extract
from llmner.sources.files import SourceFile, find_files
from llmner.sources.opening import verify_checksum
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)


@dataclass
class Night:
    """What a night has come to.

    Attributes:
        batches: What was extracted, in the order of the files' names.
        left: Why files were left for another night.
    """

    batches: list[Extracted] = field(default_factory=list)
    left: list[InputError] = field(default_factory=list)


def nightly(
    config: JobConfig,
    *,
    generator: Loadable[Engine],
    selection: Selection | None = None,
    on_progress: OnProgress = lambda _: None,
    on_batch: Callable[[Extracted], None] = lambda _: None,
    baseline: bool = False,
) -> Night:
    """Bring a data set up to date with its inputs.

    Args:
        config: The job; its inputs are where new files appear.
        generator: Finds mentions.
        selection: Judges them; None where no selector runs.
        on_progress: Called about once a second, from another thread.
        on_batch: Called with each batch when it is committed.
        baseline: The inputs are a whole new baseline: once all of them are in the data set, what is older than they are
            counts no more.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed; batches that are committed stay.
    """
    if config.batch is not None or config.limit is not None:
        raise ConfigError("batch and limit are for single runs", hint="take them out of the nightly job")
    files = sorted(find_files(config.inputs, config.format), key=lambda f: (f.name, f.url))
    layout = Layout.at(config.output)
    night = Night()
    if not missing(files, read_manifests(layout)) and not baseline:
        return night
    with BatchLock(layout.nightly_locks), own_ray():
        for file in missing(files, read_manifests(layout)):
            try:
                verify_checksum(file.url)
            except InputError as e:
                logger.error("%s is left for another night: %s", file.name, e)
                night.left.append(e)
                continue
            job = config.model_copy(update={"inputs": (file.url,), "format": file.format})
            extracted = extract(job, generator=generator, selection=selection, on_progress=on_progress, update=True)
            night.batches.append(extracted)
            on_batch(extracted)
        if baseline and not night.left:
            _replace_older(layout, files[0].name)
    return night


def missing(files: Sequence[SourceFile], manifests: Sequence[Manifest]) -> list[SourceFile]:
    """Return the files that no batch is made of, each name and size once."""
    held = {(i.uri.rpartition("/")[2], i.size) for m in manifests for i in m.inputs}
    new = {(f.name, f.size): f for f in reversed(files) if (f.name, f.size) not in held}
    return [f for f in files if new.get((f.name, f.size)) is f]


def _replace_older(layout: Layout, first: str) -> None:
    """Commit that a baseline, which begins with the file of that name, is complete."""
    manifests = read_manifests(layout)
    if any(m.replaces == first for m in manifests):
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    draft = Draft(
        schema_version=SCHEMA_VERSION,
        batch=f"{first.partition('.')[0]}-complete",
        inputs_digest="",
        fingerprint=manifests[-1].fingerprint,
        inputs=[],
        files=[],
        counts={},
        tag_sets={},
        started=now,
        finished=now,
        run_id="",
        versions={},
        replaces=first,
    )
    commit(layout, draft)
