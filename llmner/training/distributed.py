"""Where a training run computes: in this process, or on the workers of a Ray cluster.

On a cluster each worker holds the model and trains on batches of its own (DDP; gloo on CPUs, nccl on GPUs).
Checkpoints go to the output, on a disk that all nodes share or on object storage; after a worker died all start
again from the last one.

Invariant: the same command run again goes on where the last one stopped, and does nothing once the result is there;
with another length it makes the run longer. An output belongs to one run's settings.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

from llmner import storage
from llmner.errors import ConfigError, JobFailedError
from llmner.training.settings import RunSettings

logger = logging.getLogger(__name__)

_SETTINGS = "settings.json"
_DONE = "done"  # a file that is written last, with the run's length
_RAY = "ray"  # folder of the output that Ray keeps its checkpoints in


class Train(Protocol):
    """A training function, such as ``generator.train``; one that can be pickled where a cluster trains."""

    def __call__(self, settings: Any, folder: Path, *, resume: Path | None, callbacks: Sequence[Any]) -> None:
        """Train in this process, with checkpoints in a local folder; the last one holds the result."""
        ...


S = TypeVar("S", bound=RunSettings)


def run(train: Train, settings: S, *, result: str, callbacks: Sequence[Any] = ()) -> str:
    """Train, or go on, or find that it is done.

    Args:
        train: The training function.
        settings: Its settings.
        result: Name of the result in the output.
        callbacks: Told of the events of a run in this process.

    Returns:
        URL of the result, a folder with what the best weights came to.

    Raises:
        ConfigError: The output holds another run.
        JobFailedError: Workers died more often than is allowed.
    """
    output = storage.absolute_uri(settings.output)
    url = storage.join(output, result)
    _claim(output, settings)
    done = storage.read_bytes(storage.join(output, _DONE))
    if done is not None and json.loads(done) == settings.length():
        logger.info("%s is there already", url)
    elif settings.cluster.workers:
        _train_on_cluster(train, settings, output, url)
    else:
        _train_here(train, settings, Path(output), Path(url), callbacks)
    return url


def _claim(output: str, settings: RunSettings) -> None:
    """Write down whose the output is, or check that it is ours."""
    url = storage.join(output, _SETTINGS)
    ours = settings.identity()
    with storage.access(output):
        known = storage.read_bytes(url)
        if known is None:
            storage.write_whole(url, json.dumps(ours, ensure_ascii=False, indent=1).encode())
            return
    theirs = json.loads(known)
    changed = [k for k in sorted(ours.keys() | theirs.keys()) if ours.get(k) != theirs.get(k)]
    if changed:
        raise ConfigError(
            f"{output} holds a run with other settings: {', '.join(changed)}",
            hint="train into another output, or delete this one",
        )


def _finish(output: str, settings: RunSettings) -> None:
    """Write down that the run of this length has its result."""
    storage.write_whole(storage.join(output, _DONE), json.dumps(settings.length()).encode())


def _train_here(train: Train, settings: RunSettings, folder: Path, result: Path, callbacks: Sequence[Any]) -> None:
    from accelerate import PartialState

    from llmner.training.trainer import BEST, last_checkpoint

    train(settings, folder, resume=last_checkpoint(folder), callbacks=callbacks)
    if PartialState().is_main_process:
        last = last_checkpoint(folder)
        assert last is not None
        shutil.copytree(last / BEST, result, dirs_exist_ok=True)
        _finish(str(folder), settings)


def _train_on_cluster(train: Train, settings: RunSettings, output: str, result: str) -> None:
    import ray.train
    from ray.train.torch import TorchTrainer

    from llmner.training.trainer import BEST

    cluster = settings.cluster
    arrow, path = storage.arrow_file_system(output)
    trainer = TorchTrainer(
        _work,
        train_loop_config={"train": train, "settings": settings},
        scaling_config=ray.train.ScalingConfig(
            num_workers=cluster.workers,
            use_gpu=cluster.gpus > 0,
            resources_per_worker={"CPU": cluster.cpus, **({"GPU": cluster.gpus} if cluster.gpus else {})},
        ),
        run_config=ray.train.RunConfig(
            name=_RAY,
            storage_path=path,
            storage_filesystem=arrow,
            failure_config=ray.train.FailureConfig(max_failures=cluster.failures, controller_failure_limit=0),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        checkpoint = trainer.fit().checkpoint
    except ray.train.TrainingFailedError as e:
        raise JobFailedError(f"training in {output} failed: {e}", hint="run the same command again") from e
    with checkpoint.as_directory() as folder, storage.access(result):
        fs, path = storage.file_system(result)
        fs.put(f"{folder}/{BEST}/", f"{path}/", recursive=True)
        _finish(output, settings)


def _work(job: dict[str, Any]) -> None:
    """Train on a Ray worker."""
    import ray.train

    first = ray.train.get_context().get_world_rank() == 0
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format="%(asctime)s %(message)s")
    before = ray.train.get_checkpoint()
    with tempfile.TemporaryDirectory() as folder, before.as_directory() if before else nullcontext() as resume:
        callbacks = [_report_to_ray()]
        job["train"](job["settings"], Path(folder), resume=Path(resume) if resume else None, callbacks=callbacks)


def _report_to_ray() -> Any:
    """Return a callback of the Trainer that hands every checkpoint to Ray; each worker adds its own random state."""
    import ray.train
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
            metrics = {k: v for log in state.log_history for k, v in log.items()}
            ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))

    return Report()
