"""The pipeline on Ray Data: read, segment, tag, select, write.

Invariant: every document that Ray's checkpoint does not have goes through all stages as one row and is written once.
"""

import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import ray
import ray.data
from ray._private.log import PlainRayHandler
from ray.data import ActorPoolStrategy, DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data.checkpoint import CheckpointConfig

from llmner import storage
from llmner.annotator import Step
from llmner.config import Workers
from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.errors import STORAGE_FAILED, JobFailedError, LlmnerError
from llmner.extraction.cluster import is_of_ray, share_of_cpu, telling_line
from llmner.extraction.counts import Progress
from llmner.extraction.datasource import DocumentDatasource
from llmner.extraction.known import Known
from llmner.extraction.models import Loadable, Selection, load_judge, load_tagger
from llmner.extraction.reading import NumberedDatasource
from llmner.extraction.resolve import Plan
from llmner.extraction.stages import ModelStage, SegmentStage
from llmner.extraction.state import SharedState
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]

# Far more than the stages let happen: they fail a document, or the job, after a few deaths. Ray's own default is to
# try for ever; and a death costs a retry of every task that waits for the same worker.
MAX_RESTARTS = 1000
MAX_TASK_RETRIES = 100
STORAGE_RETRIES = 3  # of a read that storage failed in passing, with growing pauses; drivers have retries of their own
REPORT_SECONDS = 1.0
# Documents. Ray joins what the stage returns into large tables and cuts blocks from these, and a cut takes the longer
# the more pieces the table has: in pieces of few documents more than reading and segmenting together.
SEGMENTED_AT_ONCE = 256


def run_pipeline(
    plan: Plan,
    *,
    generator: Loadable[Engine],
    selection: Selection | None,
    known: Known,
    run_id: str,
    resumed: int,
    on_progress: OnProgress,
    check: OnProgress,
) -> Progress:
    """Read, segment, tag, select and write all documents but those that are done.

    Args:
        plan: The run.
        generator: Finds mentions.
        selection: Judges them; None where no selector runs.
        known: What earlier batches have tagged already.
        run_id: Names the run in the rows that it writes.
        resumed: Documents that are done.
        on_progress: Called about once a second, from another thread.
        check: Called as often; what it raises ends the run.

    Raises:
        JobFailedError: The run ended early; a new start goes on where it was.
        LlmnerError: The run cannot go on, and so cannot a new start.
    """
    config = plan.config
    cpus = share_of_cpu()
    documents = DocumentDatasource(plan.files, fields=config.fields, limits=config.limits)
    file_system, folder = storage.arrow_file_system(plan.batch.documents)
    with (
        SharedState.of_run(run_id, resumed=resumed, memory=plan.suspects, price=config.price_per_hour) as state,
        storage.access(plan.batch.documents),
        _data_context(plan.checkpoint, stopped := _Stopped()),
        _understood(state, stopped),
        _watch(state, config.stall_minutes, on_progress, check, stopped),
    ):
        sizes = [file.size for file in plan.files]
        source = NumberedDatasource(documents, sizes, config.limit, state.records, state.mailbox)
        # One block a read task, or Ray splits small inputs into very many.
        found = (
            ray.data.read_datasource(source, num_cpus=cpus, override_num_blocks=source.tasks)
            .map_batches(
                SegmentStage(max_length=config.max_sentence, run_id=run_id, unchanged=known.unchanged),
                batch_size=SEGMENTED_AT_ONCE,
                batch_format="pyarrow",
                num_cpus=cpus,
            )
            .repartition(target_num_rows_per_block=config.tag.rows_per_call)
        )
        if not known.everything:
            beside = selection if selection is not None and not selection.reads else None
            tagger = partial(load_tagger, generator, plan.tag_sets, beside)
            found = _with_model(found, tagger, state, config.tag, cpus, counts=True)
        if selection is not None and selection.reads and not known.everything:
            judge = partial(load_judge, selection, plan.tag_sets)
            found = _with_model(found, judge, state, config.select, cpus)
        found.write_parquet(
            folder,
            filesystem=file_system,
            schema=DOCUMENT_SCHEMA,
            compression="zstd",
            min_rows_per_file=config.documents_per_file,
            ray_remote_args={"num_cpus": cpus},
        )
        progress = state.progress()
    on_progress(progress)
    return progress


def _with_model(
    rows: ray.data.Dataset,
    make_step: Callable[[], Step],
    state: SharedState,
    workers: Workers,
    cpus: float,
    *,
    counts: bool = False,
) -> ray.data.Dataset:
    """Add a stage with a model of its own, in a pool of workers; one of them counts what is through."""
    return rows.map_batches(
        ModelStage,
        fn_constructor_args=(make_step, state.attempts, state.mailbox),
        fn_constructor_kwargs={
            "tally": state.tally,
            "pulse": state.pulse,
            "counts": counts,
            "calls": workers.calls,
            "seconds": workers.seconds,
            "seconds_per_character": workers.seconds_per_character,
        },
        batch_size=workers.rows_per_call,  # small files' blocks come together
        batch_format="pyarrow",
        compute=ActorPoolStrategy(
            min_size=workers.actors[0],
            max_size=workers.actors[1],
            max_concurrent_calls_per_actor=workers.calls,
            enable_true_multi_threading=workers.calls > 1,
        ),
        num_cpus=workers.cpus * cpus,
        num_gpus=workers.gpus,
        accelerator_type=workers.accelerator,
        max_restarts=MAX_RESTARTS,
        max_task_retries=MAX_TASK_RETRIES,
    )


@contextmanager
def _data_context(checkpoint: str, stopped: "_Stopped") -> Iterator[None]:
    """Set Ray Data's options for the run."""
    context = DataContext.get_current().copy()
    file_system, path = storage.arrow_file_system(checkpoint)
    # The checkpoint outlives Ray's success: it goes when the manifest is there.
    context.checkpoint_config = CheckpointConfig(
        id_column="record", checkpoint_path=path, override_filesystem=file_system, delete_checkpoint_on_success=False
    )
    context.retried_map_errors = [STORAGE_FAILED]
    context.max_map_retries = STORAGE_RETRIES
    context.execution_no_progress_timeout_s = -1  # it goes by whole calls; see ``_watch``
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, _ending(stopped)]
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


def _ending(stopped: "_Stopped") -> type[ExecutionCallback]:
    """Return what ends Ray's execution from within when the run is stopped, though no worker may be at work any more.

    Ray takes a class and no object, and copies all that is no class.
    """

    class Ending(ExecutionCallback):
        def on_execution_step(self, executor: object) -> None:
            if stopped.why is not None:
                raise stopped.why

    return Ending


@contextmanager
def _watch(
    state: SharedState, stall_minutes: float, on_progress: OnProgress, check: OnProgress, stopped: "_Stopped"
) -> Iterator[None]:
    """Report progress from a thread of its own, and end the run when it stands still or may not go on."""
    stop = threading.Event()

    def watch() -> None:
        moved = time.monotonic()
        while not stop.wait(REPORT_SECONDS):
            progress = Progress()
            try:
                progress = state.progress()
            except ray.exceptions.RayError:
                logger.debug("no progress to report", exc_info=True)
            else:
                moved = time.monotonic() - progress.idle
                on_progress(progress)
            try:
                if time.monotonic() - moved > stall_minutes * 60:
                    message = f"nothing has come through for {stall_minutes:g} minutes"
                    hint = "see that the workers can start, or allow more stall_minutes"
                    raise JobFailedError(message, hint=hint)
                check(progress)
            except LlmnerError as e:
                stopped.why = e
                state.end()
                return

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass
class _Stopped:
    """Why the run was ended, if it was."""

    why: LlmnerError | None = None


@contextmanager
def _understood(state: SharedState, stopped: _Stopped) -> Iterator[None]:
    """Turn an error of Ray's into the one of ours behind it, or into one that says what happened."""
    try:
        yield
    except Exception as e:
        if stopped.why is not None:
            raise stopped.why from e
        if not is_of_ray(e):
            raise
        if isinstance(cause := getattr(e, "cause", None), OSError):
            # Of the write; what is read, and models, have errors of ours. Ray adds advice as a third argument.
            raise type(cause)(*cause.args[:2]) from e
        hint = "run the same command again to go on"
        raise state.error() or JobFailedError(f"the job ended early: {telling_line(e)}", hint=hint) from e
