"""The loop on a module of one weight: what is shipped, when a run ends, and how one goes on."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import TrainerCallback

from llmner.errors import ConfigError, ModelError
from llmner.training.settings import RunSettings
from llmner.training.trainer import BEST, Batches, fit, last_checkpoint, training_arguments


class Point(nn.Module):
    """A weight that is drawn to the targets of its batches."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, batch):
        self.seen.append(float(batch["target"]))
        return (self.w - batch["target"]).square().mean()


class Stop(TrainerCallback):
    def __init__(self, after):
        self.after = after

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.after:
            raise KeyboardInterrupt


def train(folder: Path, module: Point, *, scores=None, stop=None, steps=12, targets=None, **changes):
    settings = RunSettings(output=str(folder), steps=steps, checkpoint_every=2, warmup=0, learning_rate=0.1, **changes)
    targets = targets or [float(i % 5) for i in range(steps)]
    measured = []

    def measure(accelerator):
        measured.append(float(module.w.detach()))
        return {"f1": scores[len(measured) - 1]}

    fit(
        module,
        Batches([[i] for i in range(steps)], lambda indices: {"target": torch.tensor(targets[indices[0]])}),
        training_arguments(settings, folder, bf16=False),
        ship=lambda to: (to.mkdir(), (to / "w").write_text(str(float(module.w.detach())))),
        resume=last_checkpoint(folder),
        measure=measure if scores else None,
        patience=settings.patience,
        callbacks=[Stop(stop)] if stop else [],
    )
    return measured


def shipped(folder: Path) -> float:
    return float((last_checkpoint(folder) / BEST / "w").read_text())


def test_the_last_weights_are_shipped_where_nothing_is_measured(tmp_path):
    module = Point()
    train(tmp_path, module)
    assert last_checkpoint(tmp_path).name == "checkpoint-12"
    assert shipped(tmp_path) == float(module.w.detach()) != 0
    assert module.seen == [float(i % 5) for i in range(12)]


def test_the_best_weights_are_shipped_and_the_run_ends_when_none_better_come(tmp_path):
    module = Point()
    measured = train(tmp_path, module, scores=[0.1, 0.5, 0.3, 0.5, 0.9], evaluate_every=2, patience=2)
    assert len(measured) == 4
    assert last_checkpoint(tmp_path).name == "checkpoint-8"
    assert shipped(tmp_path) == measured[1] != float(module.w.detach())


def test_the_last_step_is_measured_even_off_the_interval(tmp_path):
    measured = train(tmp_path, Point(), scores=[0.1, 0.2], evaluate_every=8)
    assert len(measured) == 2
    assert shipped(tmp_path) == measured[1]


@pytest.mark.parametrize("stop", [5, 9])
def test_a_run_goes_on_where_it_stopped(stop, tmp_path):
    whole = Point()
    scores = [0.1, 0.5, 0.3, 0.2, 0.1, 0.1]
    train(tmp_path / "whole", whole, scores=scores, evaluate_every=2)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", Point(), scores=scores, stop=stop, evaluate_every=2)
    again = Point()
    train(tmp_path / "cut", again, scores=scores[(stop - 1) // 2 :], evaluate_every=2)
    assert torch.equal(again.w, whole.w)
    assert again.seen == whole.seen[stop - 1 :]
    assert shipped(tmp_path / "cut") == shipped(tmp_path / "whole")


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path):
    train(tmp_path, Point())
    part = tmp_path / "checkpoint-20"
    part.mkdir()
    assert last_checkpoint(tmp_path).name == "checkpoint-12"
    (part / "trainer_state.json").write_text('{"global_step": 2')
    assert last_checkpoint(tmp_path).name == "checkpoint-12"
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_a_checkpoint_of_another_module_is_refused(tmp_path):
    train(tmp_path, Point())
    other = Point()
    other.w = nn.Parameter(torch.zeros(2))
    with pytest.raises(ModelError, match="another model"):
        train(tmp_path, other, steps=14)


def test_batches_too_few_for_a_step_are_told(tmp_path):
    with pytest.raises(ConfigError, match="a step takes 13 batches, there are 12"):
        train(tmp_path, Point(), accumulate=13)


def test_a_loss_that_is_lost_ends_the_run(tmp_path):
    with pytest.raises(ModelError, match="loss is nan at step 10"):
        train(tmp_path, Point(), targets=[1.0] * 6 + [float("nan")] * 6)
