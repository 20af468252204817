"""Training on whole batches with the Trainer of transformers: schedule, clipping, checkpoints, DDP, mixed precision.

What is trained is a module whose forward takes a batch and returns its loss; so generator and selector train alike.
A data set's items are whole batches, listed beforehand for the whole run, so a run that goes on skips those it has
had without loading them. Of several processes each gets every n-th batch.

A checkpoint holds the trained weights in full precision, their average where one is kept, what the optimiser and the
schedule know, and in ``best`` what is to be shipped: the weights that did best on development data so far, or the
last ones. SIGTERM ends a run after the step it is in, with a checkpoint.

Invariant: a run that was stopped and started again takes the same steps as one that was not. No Ray here: the same
loop runs on a bare machine, and under ``torchrun`` on several GPUs.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from llmner.errors import ConfigError, ModelError, StoppedError
from llmner.training.callbacks import Average, Log, Stop
from llmner.training.corpus import Batchable, plan
from llmner.training.settings import RunSettings

logger = logging.getLogger(__name__)

BEST = "best"
_STATE = "trainer_state.json"  # the last file of a checkpoint
_TRAINED = "trained.safetensors"
_AVERAGED = "averaged.safetensors"

E = TypeVar("E", bound=Batchable)

# What is measured on development data: names with values, ``f1`` among them, the same in all processes.
Measure = Callable[[Accelerator], dict[str, float]]


class Batches(Dataset):
    """The batches of a run as a data set.

    Args:
        plan: For each batch the indices of its examples, see ``corpus.plan``.
        collate: Makes a batch of them: a mapping of names to tensors and whatever else the module's forward takes.
    """

    def __init__(self, plan: Sequence[Sequence[int]], collate: Callable[[Sequence[int]], dict[str, Any]]) -> None:
        self._plan = plan
        self._collate = collate

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._collate(self._plan[index])


def run_batches(
    settings: RunSettings,
    corpora: Sequence[Sequence[E]],
    weights: Sequence[float],
    collate: Callable[[Sequence[E]], dict[str, Any]],
) -> Batches:
    """Return all batches of a run.

    Args:
        settings: The run's.
        corpora: The examples of each corpus.
        weights: How often each corpus is seen in an epoch.
        collate: Makes a batch of examples of one tag set.
    """
    examples = [e for corpus in corpora for e in corpus]
    run = plan(
        examples,
        [len(corpus) for corpus in corpora],
        weights,
        tokens=settings.batch_tokens,
        seed=settings.seed,
        count=settings.steps and settings.steps * settings.accumulate,
        epochs=settings.epochs,
    )
    return Batches(run, lambda indices: collate([examples[i] for i in indices]))


def training_arguments(settings: RunSettings, folder: Path, *, bf16: bool) -> TrainingArguments:
    """Return the Trainer's settings; making them joins this process to the others of a distributed run.

    Args:
        settings: The run's.
        folder: Where checkpoints go; local.
        bf16: Whether to compute in bfloat16 (autocast); weights in training stay float32.

    Raises:
        ConfigError: The processes cannot share a step's batches evenly.
    """
    measured = settings.evaluate_every is not None
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # torchrun and Ray set it
    if settings.accumulate % processes:
        raise ConfigError(
            f"{processes} processes cannot share a step's {settings.accumulate} batches evenly",
            hint=f"set accumulate to a multiple of {processes}",
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.accumulate // processes,
        learning_rate=settings.learning_rate,
        **_schedule(settings),
        warmup_steps=settings.warmup,
        adam_beta2=0.99,
        max_grad_norm=1.0,
        bf16=bf16,
        seed=settings.seed,
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        ddp_timeout=86400,  # seconds; a run may pause
        dataloader_num_workers=2 if torch.cuda.is_available() else 0,
        remove_unused_columns=False,
        logging_steps=10,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        save_total_limit=2,  # with 1 the Trainer deletes the last one at the end, if another was better
        eval_strategy="steps" if measured else "no",
        eval_steps=settings.evaluate_every,
        metric_for_best_model="f1" if measured else None,
        greater_is_better=True if measured else None,
        restore_callback_states_from_checkpoint=True,
        disable_tqdm=True,
        report_to="none",
        log_level="error",
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are for several processes, never for DataParallel
    return arguments


def _schedule(settings: RunSettings) -> dict[str, Any]:
    """Return the course of the learning rate, as arguments of the Trainer."""
    if settings.decay is None:
        return {"lr_scheduler_type": "linear"}
    falling = {"num_decay_steps": settings.decay, "decay_type": "linear"}
    return {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": falling}


def fit(
    module: nn.Module,
    batches: Batches,
    arguments: TrainingArguments,
    *,
    ship: Callable[[Path], None],
    resume: Path | None = None,
    measure: Measure | None = None,
    patience: int | None = None,
    average: float | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train a module; the last checkpoint, of the last step, holds the result.

    Args:
        module: Its forward takes a batch and returns the loss, a mean over the batch's examples. Those of its
            parameters that require a gradient are trained and kept in checkpoints.
        batches: Those of the whole run, in order; they fix its number of steps.
        arguments: See ``training_arguments``.
        ship: Writes what is to be shipped of the module into a folder.
        resume: Checkpoint to go on from.
        measure: Measures the module on development data.
        patience: Measurements without a better one after which the run ends.
        average: See ``RunSettings.average``.
        callbacks: Told of the run's events, after everything here.

    Raises:
        ConfigError: The batches are too few for a step.
        StoppedError: A signal ended the run before its last step; the last checkpoint is of the step it came in.
        ModelError: The loss is no longer a finite number.
    """
    at_once = arguments.world_size * arguments.gradient_accumulation_steps
    if len(batches) < at_once:
        raise ConfigError(f"a step takes {at_once} batches, there are {len(batches)}", hint="lower batch_tokens")
    arguments.max_steps = len(batches) // at_once
    stop = Stop()
    trainer = _BatchTrainer(
        module,
        arguments,
        train_dataset=batches,
        eval_dataset=[] if measure else None,
        data_collator=_only,
        callbacks=[
            Log(),
            stop,
            *([EarlyStoppingCallback(patience)] if patience else []),
            *callbacks,
        ],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.ship, trainer.measure, trainer.resumed = ship, measure, resume
    trainer.average = Average(list(trainer._trained(module).values()), average) if average else None
    if trainer.average:
        trainer.add_callback(trainer.average)
    stop.accelerator = trainer.accelerator
    with stop.listening():
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if stop.stopped:
        raise StoppedError(
            f"stopped after step {trainer.state.global_step} of {arguments.max_steps}, with a checkpoint",
            hint="the same command again goes on from there",
        )


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint in a folder; one that was cut off by a kill is passed over."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]), reverse=True):
        try:
            json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            logger.warning("%s: not whole, passed over", checkpoint)
            continue
        return checkpoint
    return None


def dev_scores(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what a run has measured on development data so far.

    Args:
        folder: Its output.

    Returns:
        For each name steps and values, in order; ``mean`` is what decides and comes first.

    Raises:
        ConfigError: Nothing was measured yet.
    """
    checkpoint = last_checkpoint(folder)
    state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8")) if checkpoint else {"log_history": []}
    result: dict[str, list[tuple[int, float]]] = {}
    for log in state["log_history"]:
        for key, value in log.items():
            if key.startswith("eval_f1"):
                result.setdefault(key.removeprefix("eval_f1").removeprefix("_") or "mean", []).append(
                    (log["step"], value)
                )
    if not result:
        raise ConfigError(f"{folder}: no checkpoint after a measurement yet")
    return result


def _only(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the Trainer's batch of one item, which is a batch itself."""
    (batch,) = items
    return batch


class _BatchTrainer(Trainer):
    """The Trainer on modules that compute their own loss, with checkpoints of the trained weights alone."""

    ship: Callable[[Path], None]
    measure: Measure | None
    resumed: Path | None
    average: "Average | None"
    control: Any

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Tensor:
        loss: Tensor = model(inputs)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        assert self.measure is not None
        self.model.eval()
        with self._averaged():
            metrics = {f"eval_{name}": value for name, value in self.measure(self.accelerator).items()}
        self.model.train()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {n: p.detach().cpu().contiguous() for n, p in self._trained(self.model).items()}
        save_file(trained, folder / _TRAINED)
        if self.average:
            save_file(dict(zip(trained, self.average.averaged, strict=True)), folder / _AVERAGED)
        if self.measure is None or self.state.best_global_step == self.state.global_step:
            with self._averaged():
                self.ship(folder / BEST)
        elif (before := self._earlier(folder)) is not None:
            shutil.copytree(before / BEST, folder / BEST)

    def _earlier(self, folder: Path) -> Path | None:
        """Return the checkpoint before the one being written; None before the first measurement."""
        others = [p for p in folder.parent.glob("checkpoint-*") if p != folder and (p / _STATE).exists()]
        newest = max(others, key=lambda p: int(p.name.split("-")[1]), default=self.resumed)
        return newest if newest is not None and (newest / BEST).exists() else None

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        file = Path(resume_from_checkpoint) / _TRAINED
        stored = load_file(file)
        trained = self._trained(model or self.model)
        if stored.keys() != trained.keys() or any(stored[n].shape != p.shape for n, p in trained.items()):
            raise ModelError(f"{file}: weights of another model or rank", hint="train into another output folder")
        with torch.no_grad():
            for name, p in trained.items():
                p.copy_(stored[name])
        if self.average:
            averaged = load_file(Path(resume_from_checkpoint) / _AVERAGED)
            for average, name in zip(self.average.averaged, trained, strict=True):
                average.copy_(averaged[name])

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        # The stored learning rate is that of the length the run had then.
        rates = zip(self.lr_scheduler.base_lrs, self.lr_scheduler.lr_lambdas, strict=True)
        for group, (highest, course) in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = highest * course(self.lr_scheduler.last_epoch)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The module with its averaged weights, where there are any."""
        if self.average is None:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    @staticmethod
    def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
        return {name: p for name, p in model.named_parameters() if p.requires_grad}
