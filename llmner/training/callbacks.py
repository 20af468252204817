"""What listens to a run of the Trainer: averaged weights, the wish to stop, the log.

Invariant: all processes of a run stop after the same step.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import TrainerCallback, TrainingArguments

from llmner.errors import ModelError

logger = logging.getLogger(__name__)

stop_asked = threading.Event()  # set by SIGTERM while a run listens


class Average(TrainerCallback):
    """Keeps an exponential average of weights; it varies less from step to step than they do, and does better.

    Args:
        weights: Those in training.
        share: What a step keeps of the average.
    """

    def __init__(self, weights: Sequence[nn.Parameter], share: float) -> None:
        self._weights = weights
        self.averaged = [w.detach().clone() for w in weights]
        self._update = get_ema_multi_avg_fn(share)

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Move the average."""
        self._update(self.averaged, [w.detach() for w in self._weights], state.global_step)

    def swap(self) -> None:
        """Exchange the weights and their average, in place."""
        for i, weight in enumerate(self._weights):
            weight.data, self.averaged[i] = self.averaged[i], weight.data


class Stop(TrainerCallback):
    """Ends a run on SIGTERM, in all processes after the same step, with a checkpoint."""

    accelerator: Accelerator

    def __init__(self) -> None:
        self.stopped = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM as the wish to stop; elsewhere than in the main thread Python lets nobody do that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        stop_asked.clear()
        before = signal.signal(signal.SIGTERM, lambda *_: stop_asked.set())
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """End the run if any process was asked to stop."""
        if stop_asked.is_set():
            self.accelerator.set_trigger()
        if self.accelerator.check_trigger() and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = control.should_training_stop = True


class Log(TrainerCallback):
    """Tells how a run goes, measures after its last step, and ends it when the loss is lost."""

    def on_train_begin(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Tell where the run goes on."""
        self._started, self._first = time.monotonic(), state.global_step
        if state.is_world_process_zero:
            logger.info("from step %d of %d, %d process(es), on %s",
                        state.global_step, state.max_steps, args.world_size, args.device)  # fmt: skip

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> None:
        """Measure after the last step."""
        if state.global_step >= state.max_steps and args.eval_strategy != "no":
            control.should_evaluate = True

    def on_log(self, args: TrainingArguments, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """Tell losses and measurements; end the run when the loss is no number."""
        if not state.is_world_process_zero:
            return
        measured = {k.removeprefix("eval_"): v for k, v in logs.items() if k.startswith("eval_")}
        if measured:
            logger.info("step %d on dev: %s", state.global_step,
                        ", ".join(f"{name} {value:.4f}" for name, value in measured.items()))  # fmt: skip
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise ModelError(f"the loss is {logs['loss']} at step {state.global_step}", hint="lower learning_rate")
        seconds = (time.monotonic() - self._started) / max(1, state.global_step - self._first)
        logger.info("step %d of %d: loss %.4f, learning rate %.2e, %.2f s a step, %.0f min left",
                    state.global_step, state.max_steps, logs["loss"], logs["learning_rate"], seconds,
                    seconds * (state.max_steps - state.global_step) / 60)  # fmt: skip
