"""A run: plan, lock, pipeline, count, commit.

Invariant: rerun the same command after any interruption; it resumes and leads to the same data set. What is done is
known from the manifest of a finished batch, and from Ray's checkpoint within an unfinished one.
"""

import logging
import platform
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from llmner import __version__, storage
from llmner.config import JobConfig
from llmner.dataset.commit import Counted, check_files, commit, count, is_settled, recover, settle
from llmner.dataset.compaction import read_compaction
from llmner.dataset.files import in_threads
from llmner.dataset.fingerprint import ensure
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.lock import BatchLock
from llmner.dataset.manifest import Draft, Manifest, find_manifest
from llmner.dataset.schema import SCHEMA_VERSION
from llmner.errors import CountMismatchError, DatasetError, LlmnerError
from llmner.extraction.cluster import in_tasks, own_ray
from llmner.extraction.counts import Progress, check_share
from llmner.extraction.known import NOTHING_KNOWN, find_known
from llmner.extraction.models import Loadable, Selection
from llmner.extraction.pipeline import OnProgress, run_pipeline
from llmner.extraction.resolve import Plan, resolve
from llmner.sources.files import SourceFile, digested, find_files
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)

MAX_FRUITLESS = 2  # starts in a row that find no more done than the one before


@dataclass(frozen=True)
class Extracted:
    """What a job has come to.

    Attributes:
        manifest: The committed batch.
        batch: Where it lies.
        already_done: Whether an earlier run had committed it, and this one wrote nothing.
        progress: What this run itself did since it last started.
    """

    manifest: Manifest
    batch: BatchLayout
    already_done: bool
    progress: Progress


def extract(
    config: JobConfig,
    *,
    generator: Loadable[Engine],
    selection: Selection | None = None,
    on_progress: OnProgress = lambda _: None,
    update: bool = False,
    retries: int | None = None,
) -> Extracted:
    """Run a job, or the rest of it.

    Args:
        config: The job.
        generator: Finds mentions.
        selection: Judges them; None where no selector runs.
        on_progress: Called about once a second, from another thread.
        update: The input is a file of a sequence of updates: its name says what is newer, and documents whose text is
            tagged already are not tagged again.
        retries: The inputs are those of a commit, of which only what failed is tagged again.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed; nothing that was done is lost.
    """
    started = _now()
    plan = planned(config, digested(find_files(config.inputs, config.format)), generator, selection)
    if manifest := _committed(plan):
        return finished(plan.batch, manifest)
    with BatchLock(plan.batch.locks) as lock:
        manifest = _committed(plan)  # by another run, since
        if manifest is None:
            place = plan.files[0].name if update else None
            extracted = _extract(plan, lock, started, generator, selection, on_progress, place, retries)
    storage.remove(plan.batch.locks)  # a committed batch needs none
    return extracted if manifest is None else finished(plan.batch, manifest)


def planned(
    config: JobConfig, files: Sequence[SourceFile], generator: Loadable[Engine], selection: Selection | None
) -> Plan:
    """Plan a run over files, on a data set that has its models and settings.

    Raises:
        DatasetError: The data set was made with others, or is none.
    """
    plan = resolve(
        config,
        files=files,
        tag_sets=config.load_tag_sets(),
        generator=generator.fingerprint,
        selection=selection.parts() if selection else {},
    )
    ensure(plan.layout, plan.fingerprint, plan.described_tag_sets)
    return plan


def finished(batch: BatchLayout, manifest: Manifest) -> Extracted:
    """Return a committed batch, whose files are there; what its run left undone is done.

    Of a batch that was compacted the manifest lists the files that are left.

    Raises:
        DatasetError: Files of it are missing.
    """
    compaction = read_compaction(Layout(batch.dataset))
    if compaction is not None and manifest.commit <= compaction.oldest:
        return Extracted(compaction.left(manifest), batch, already_done=True, progress=Progress())
    check_files(batch, manifest)
    if not is_settled(batch, manifest):
        with BatchLock(batch.locks):
            settle(batch, manifest, in_threads)
        storage.remove(batch.locks)
    return Extracted(manifest, batch, already_done=True, progress=Progress())


def _extract(
    plan: Plan,
    lock: BatchLock,
    started: datetime,
    generator: Loadable[Engine],
    selection: Selection | None,
    on_progress: OnProgress,
    place: str | None,
    retries: int | None,
) -> Extracted:
    """Make a batch and commit it; one with a place among updates or that retries a commit pays for new texts only."""
    run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    _remove_other_checkpoints(plan)
    with own_ray():
        pipeline = partial(
            run_pipeline,
            plan,
            generator=generator,
            selection=selection,
            known=NOTHING_KNOWN if place is None and retries is None else find_known(plan),
            run_id=run_id,
            on_progress=on_progress,
            check=partial(_check_going_on, plan, lock),
        )
        progress = _run_to_the_end(pipeline, plan, lock)
        if not progress.complete:
            raise CountMismatchError("not all inputs were read to their end", hint="run the same command again")
        _check_writable(plan, lock)
        counted = count(plan.batch.documents, plan.checkpoint, plan.inputs, progress.records, in_tasks)
        check_share(counted.counts["documents"], counted.failed, plan.config.max_failed_share)
        _check_writable(plan, lock)
        draft = _draft(plan, counted, started, run_id)
        more = {"figures": progress.figures(plan.config.price_per_hour), "place": place, "retries": retries}
        manifest = commit(plan.layout, draft.model_copy(update=more), in_tasks)
    return Extracted(manifest, plan.batch, already_done=False, progress=progress)


def _run_to_the_end(pipeline: Callable[..., Progress], plan: Plan, lock: BatchLock) -> Progress:
    """Run; what ends early or stands still, as Ray may after it lost a worker, starts again with what is not done."""
    done, fruitless = -1, 0
    while True:
        _check_writable(plan, lock)
        before, done = done, recover(plan.batch.documents, plan.checkpoint, in_tasks)
        fruitless = 0 if done > before else fruitless + 1
        try:
            return pipeline(resumed=done)
        except LlmnerError as e:
            if not e.retryable or fruitless == MAX_FRUITLESS:
                raise
            _check_writable(plan, lock)
            logger.warning("%s; starting again with what is not done", e.message)


def _check_writable(plan: Plan, lock: BatchLock) -> None:
    """Make sure that the batch is still this run's to write.

    Raises:
        DatasetError: Another run holds it or has committed it, or may hold it by now.
    """
    if not lock.held():
        raise _lost(plan)
    if other := find_manifest(plan.layout, plan.batch.name):
        message = f"batch {plan.batch.name} was committed by another run, {other.run_id}"
        raise DatasetError(message, hint="see what that run says")


def _check_going_on(plan: Plan, lock: BatchLock, progress: Progress) -> None:
    """Make sure that a running pipeline may and should go on; asks no storage.

    Raises:
        DatasetError: The lock is lost.
        TooManyFailedError: Too many documents failed.
    """
    if lock.lost:
        raise _lost(plan)
    check_share(progress.documents, progress.reasons, plan.config.max_failed_share)


def _lost(plan: Plan) -> DatasetError:
    message = f"batch {plan.batch.name}: this run lost its lock, for storage or this machine stood still too long"
    return DatasetError(message, hint="run the same command again; it goes on, or says which run took over")


def _committed(plan: Plan) -> Manifest | None:
    """Return the manifest of the batch if it is committed.

    Raises:
        DatasetError: It was made of other inputs.
    """
    manifest = find_manifest(plan.layout, plan.batch.name)
    if manifest is None:
        return None
    if manifest.inputs_digest != plan.inputs_digest:
        raise DatasetError(
            f"batch {plan.batch.name} is done, and its inputs were others or have changed since",
            hint="give a new --batch",
        )
    return manifest


def _remove_other_checkpoints(plan: Plan) -> None:
    """Remove what runs with other settings or inputs have left of the batch."""
    for other in storage.list_folders(plan.batch.checkpoints):
        if other != plan.checkpoint_name:
            logger.warning("batch %s: inputs have changed since a run that did not end, starting anew", plan.batch.name)
            storage.remove(plan.batch.checkpoint(other))


def _draft(plan: Plan, counted: Counted, started: datetime, run_id: str) -> Draft:
    packages = ("ray", "torch", "transformers", "pyarrow")
    return Draft(
        schema_version=SCHEMA_VERSION,
        batch=plan.batch.name,
        inputs_digest=plan.inputs_digest,
        reading=plan.reading,
        fingerprint=plan.fingerprint.hash,
        inputs=counted.inputs,
        files=counted.files,
        counts=counted.counts,
        reasons=counted.reasons,
        clashes=counted.clashes,
        clashing=counted.clashing,
        tag_sets={lang: [t.name for t in sets] for lang, sets in plan.tag_sets.items()},
        started=started.isoformat(timespec="seconds"),
        finished=_now().isoformat(timespec="seconds"),
        run_id=run_id,
        versions={
            "llmner": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
    )


def _now() -> datetime:
    return datetime.now(UTC)
