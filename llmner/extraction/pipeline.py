"""The extraction of one batch: read, segment, tag, select, write; then count, commit, publish.

Invariant: running the same command again, after whatever end, leads to the same data set. What is done is known
from the manifest of a finished batch, and from Ray's checkpoint within an unfinished one.
"""

import hashlib
import json
import logging
import os
import platform
import re
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import ray
import ray.data
from ray._private.log import PlainRayHandler
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig
from ray.data.exceptions import ExecutionTimeoutError, SystemException
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from llmner import __version__, storage
from llmner.config import Fingerprint, JobConfig, Workers, fingerprint
from llmner.documents import DOCUMENT_SCHEMA, SCHEMA_VERSION
from llmner.errors import STORAGE_FAILED, CountMismatchError, DatasetError, JobFailedError, LlmnerError
from llmner.extraction import commit, publish
from llmner.extraction.dataset import Batch, Dataset, Input, Manifest
from llmner.extraction.lock import BatchLock
from llmner.extraction.monitor import Monitor, Progress, RemoteAttempts
from llmner.extraction.reading import NumberedDatasource
from llmner.extraction.selecting import Selection, SelectStage
from llmner.extraction.stages import SegmentStage, TagStage
from llmner.segmentation import VERSION as SEGMENTATION_VERSION
from llmner.sources.datasource import DocumentDatasource
from llmner.sources.files import SourceFile, find_files
from llmner.tagging.engine import Engine
from llmner.tagset import TagSet

logger = logging.getLogger(__name__)

EngineFactory = Callable[[], Engine]

# Far more than the stages let happen: they fail a document, or the job, after a few deaths. Ray's own default is to
# try for ever; and a death costs a retry of every task that waits for the same worker.
MAX_RESTARTS = 1000
MAX_TASK_RETRIES = 100
MIN_CPUS = 5  # logical CPUs that reading, filtering, tagging, selecting and writing need side by side
STORAGE_RETRIES = 3  # of a read that storage failed in passing, with growing pauses; drivers have retries of their own
MAX_IN_VAIN = 2  # starts in a row that find no more done than the one before
REPORT_SECONDS = 1.0
ANSWER_SECONDS = 30.0  # that the monitor may take


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
    batch: Batch
    already_done: bool
    progress: Progress


def extract(
    config: JobConfig,
    engine_factory: EngineFactory,
    engine: dict[str, str],
    *,
    selection: Selection | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Extracted:
    """Run a job, or the rest of it.

    Args:
        config: The job.
        engine_factory: Makes a worker's engine.
        engine: What shapes the engine's answers.
        selection: The selector; None where none runs.
        on_progress: Called about once a second, from another thread.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed; nothing that was done is lost.
    """
    started = _now()
    tag_sets = config.load_tag_sets()
    files = find_files(config.inputs, config.format)
    segmentation = f"{SEGMENTATION_VERSION}, at most {config.max_sentence}"
    selector = selection.parts() if selection else {}
    shapes = fingerprint(engine, tag_sets, segmentation=segmentation, selector=selector)
    reads = _reads(config, files)
    dataset = Dataset(config.output)
    batch = dataset.batch(config.batch or _batch_name(files, reads))
    with storage.access(dataset.url):
        dataset.ensure(shapes, tag_sets)
        if done := _already_done(batch, reads):
            return done
        with batch.lock() as lock:
            if done := _already_done(batch, reads):
                return done
            run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
            checkpoint = _checkpoint(batch, shapes, reads)
            inputs = [Input(uri=f.url, size=f.size, version=f.revision) for f in files]
            with own_ray():
                tag_stage = (engine_factory, engine, tag_sets)
                run = partial(_run, config, files, batch, checkpoint, run_id, tag_stage, selection, on_progress)
                progress = _run_to_the_end(run, batch, checkpoint, lock)
            if not progress.complete:
                raise CountMismatchError("not all inputs were read to their end", hint="run the same command again")
            counted = commit.count(batch.documents, checkpoint, inputs, progress.records)
            _check_held(lock, batch)
            manifest = Manifest(
                schema_version=SCHEMA_VERSION,
                batch=batch.name,
                selection=reads,
                fingerprint=shapes.hash,
                inputs=counted.inputs,
                files=counted.files,
                counts=counted.counts,
                tag_sets={lang: [t.name for t in sets] for lang, sets in tag_sets.items()},
                started=started.isoformat(timespec="seconds"),
                finished=_now().isoformat(timespec="seconds"),
                run_id=run_id,
                versions=_versions(),
            )
            batch.write_manifest(manifest)
            _finish(batch, manifest)
    return Extracted(manifest, batch, already_done=False, progress=progress)


def _run_to_the_end(run: Callable[[int], Progress], batch: Batch, checkpoint: str, lock: BatchLock) -> Progress:
    """Run; what ends early or stands still, as Ray may after it lost a worker, starts again with what is not done."""
    done, in_vain = -1, 0
    while True:
        before, done = done, commit.recover(batch.documents, checkpoint)
        in_vain = 0 if done > before else in_vain + 1
        try:
            return run(done)
        except JobFailedError as e:
            if in_vain == MAX_IN_VAIN:
                raise
            _check_held(lock, batch)
            logger.warning("%s; starting again with what is not done", e.message)


def _check_held(lock: BatchLock, batch: Batch) -> None:
    if not lock.held():
        raise DatasetError(f"batch {batch.name}: another run took it over", hint="see what that run says")


def _run(
    config: JobConfig,
    files: Sequence[SourceFile],
    batch: Batch,
    checkpoint: str,
    run_id: str,
    tag_stage: tuple[EngineFactory, dict[str, str], dict[str, tuple[TagSet, ...]]],
    selection: Selection | None,
    on_progress: Callable[[Progress], None],
    done: int,
) -> Progress:
    """Read, segment, tag, select and write all but the documents that are done."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # others may die
    monitor = ray.remote(num_cpus=0, scheduling_strategy=here)(Monitor).remote(resumed=done)
    source = NumberedDatasource(DocumentDatasource(files, fields=config.fields), config.limit, monitor)
    cpus = min(1.0, ray.cluster_resources().get("CPU", 1.0) / MIN_CPUS)  # a small machine runs all stages, too
    file_system, documents = storage.arrow_file_system(batch.documents)
    with _data_context(checkpoint, config.stall_minutes), _watch(monitor, on_progress):
        try:
            # One block a read task, or Ray splits small inputs into very many.
            found = (
                ray.data.read_datasource(source, num_cpus=cpus, override_num_blocks=source.tasks)
                .map_batches(
                    SegmentStage(max_length=config.max_sentence, run_id=run_id),
                    batch_size=config.tag.documents,
                    batch_format="pyarrow",
                    num_cpus=cpus,
                )
                .repartition(target_num_rows_per_block=config.tag.documents)
                .map_batches(
                    TagStage,
                    fn_constructor_args=(*tag_stage, RemoteAttempts(monitor), config.tag.batches),
                    **_pool(config.tag, cpus),
                )
            )
            if selection is not None:
                found = found.map_batches(
                    SelectStage,
                    fn_constructor_args=(selection, tag_stage[2], RemoteAttempts(monitor)),
                    **_pool(config.select, cpus),
                )
            found.write_parquet(
                documents,
                filesystem=file_system,
                schema=DOCUMENT_SCHEMA,
                compression="zstd",
                min_rows_per_file=config.documents_per_file,
                ray_remote_args={"num_cpus": cpus},
            )
            progress: Progress = ray.get(monitor.progress.remote())
        except ExecutionTimeoutError as e:
            message = f"nothing has come through for {config.stall_minutes:g} minutes"
            raise JobFailedError(message, hint="see that the workers can start, or allow more stall_minutes") from e
        except Exception as e:
            if not _of_ray(e):
                raise
            raise _understood(e, monitor) from e
    on_progress(progress)
    return progress


def _pool(workers: Workers, cpus: float) -> dict[str, Any]:
    """Ray's settings of the actor pool of a stage."""
    return {
        "batch_size": workers.documents,  # small files' blocks come together
        "batch_format": "pyarrow",
        "compute": ActorPoolStrategy(
            min_size=workers.actors[0],
            max_size=workers.actors[1],
            max_concurrent_calls_per_actor=workers.batches,
            enable_true_multi_threading=workers.batches > 1,
        ),
        "num_cpus": workers.cpus * cpus,
        "num_gpus": workers.gpus,
        "accelerator_type": workers.accelerator,
        "max_restarts": MAX_RESTARTS,
        "max_task_retries": MAX_TASK_RETRIES,
    }


@contextmanager
def own_ray() -> Iterator[None]:
    """Ray as it is, or that of RAY_ADDRESS as in a submitted job, or one of our own on this machine."""
    if ray.is_initialized():
        yield
        return
    if "RAY_ADDRESS" in os.environ:
        ray.init(logging_level=logging.ERROR)
    else:
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, MIN_CPUS),
            object_store_memory=1 << 30,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _data_context(checkpoint: str, stall_minutes: float) -> Iterator[None]:
    """Ray Data's settings for the run."""
    context = DataContext.get_current().copy()
    file_system, path = storage.arrow_file_system(checkpoint)
    # The checkpoint outlives Ray's success: it goes when the manifest is there.
    context.checkpoint_config = CheckpointConfig(
        id_column="record", checkpoint_path=path, override_filesystem=file_system, delete_checkpoint_on_success=False
    )
    context.retried_map_errors = [STORAGE_FAILED]
    context.max_map_retries = STORAGE_RETRIES
    context.execution_no_progress_timeout_s = stall_minutes * 60
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for handler in logging.getLogger("ray.data").handlers:
        # Our own lines are enough; Ray's session keeps all in a file. Handlers that others put there are theirs.
        if isinstance(handler, PlainRayHandler):
            handler.setLevel(logging.CRITICAL)
    with DataContext.current(context), warnings.catch_warnings():
        # The only way to bound restarts in the pinned version of Ray is announced to change in a later one.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        yield


@contextmanager
def _watch(monitor: Any, on_progress: Callable[[Progress], None]) -> Iterator[None]:
    """Report progress from a thread of its own."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(REPORT_SECONDS):
            try:
                on_progress(ray.get(monitor.progress.remote(), timeout=ANSWER_SECONDS))
            except ray.exceptions.RayError:
                logger.debug("no progress to report", exc_info=True)

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _of_ray(error: Exception) -> bool:
    """Whether an error is Ray's, by its class or by the mark on what went wrong within Ray; not storage's, nor ours."""
    within = isinstance(error.__cause__, SystemException) and not isinstance(error, OSError | LlmnerError)
    return within or isinstance(error, ray.exceptions.RayError)


def _understood(error: Exception, monitor: Any) -> LlmnerError:
    """The error of ours behind one of Ray's, or one with the line of Ray's message that says what happened."""
    try:
        ours: LlmnerError | None = ray.get(monitor.error.remote(), timeout=ANSWER_SECONDS)
    except ray.exceptions.RayError:  # the monitor's worker is what was lost
        ours = None
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    telling = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    what = telling[-1] if telling else type(error).__name__
    return ours or JobFailedError(f"the job ended early: {what}", hint="run the same command again to go on")


def _already_done(batch: Batch, reads: str) -> Extracted | None:
    """The batch if it is committed, after making good what a crash behind its commit left out."""
    manifest = batch.read_manifest()
    if manifest is None:
        return None
    if manifest.selection != reads:
        raise DatasetError(
            f"batch {batch.name} is done, and its inputs were others or have changed since", hint="give a new --batch"
        )
    _finish(batch, manifest)
    return Extracted(manifest, batch, already_done=True, progress=Progress())


def _finish(batch: Batch, manifest: Manifest) -> None:
    """What follows a commit; doing it again changes nothing."""
    names = [f.name for f in manifest.files]
    publish.publish(batch.documents, batch.mentions, names)
    for folder in (batch.documents, batch.mentions):
        for name in set(storage.list_names(folder)) - set(names):
            storage.remove(storage.join(folder, name))
    storage.remove(batch.checkpoints)


def _checkpoint(batch: Batch, shapes: Fingerprint, reads: str) -> str:
    """URL of the checkpoint for exactly these settings and inputs; what others have left is removed."""
    name = f"{shapes.hash}-{reads}"
    for other in storage.list_folders(batch.checkpoints):
        if other != name:
            logger.warning("batch %s: inputs have changed since a run that did not end, starting anew", batch.name)
            storage.remove(storage.join(batch.checkpoints, other))
    return storage.join(batch.checkpoints, name)


def _reads(config: JobConfig, files: Sequence[SourceFile]) -> str:
    """Digest of what is read: inputs with their state, how they are read, and how much of them."""
    content = [[f.url, f.format, f.size, f.revision] for f in files], sorted(config.fields.items()), config.limit
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _batch_name(files: Sequence[SourceFile], reads: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", files[0].name.partition(".")[0]).strip("-_")[:40] or "batch"
    return f"{stem}-{reads[:8]}"


def _versions() -> dict[str, str]:
    packages = ("ray", "torch", "transformers", "pyarrow")
    return {"llmner": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}


def _now() -> datetime:
    return datetime.now(UTC)
