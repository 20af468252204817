"""Train a generator adapter: ``python jobs/train_generator.py --config configs/training/embedded.yaml``.

Run again after a stop, it goes on from the last checkpoint. With ``cluster.workers`` in the configuration it trains
on a Ray cluster; without, in this process, which needs no Ray (and under ``torchrun`` on all GPUs of a machine).
With ``--background`` it trains beneath other work, see ``llmner.training.background``.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer


def main(
    config: Annotated[Path, typer.Option(help="Settings, see llmner.training.settings.GeneratorTraining.")],
    data: Annotated[Path, typer.Option(help="Folder that the corpora's paths are relative to.")] = Path(),
    output: Annotated[str | None, typer.Option(help="Folder of checkpoints and the adapter.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.")] = None,
    decay: Annotated[int | None, typer.Option(help="Last steps, in which the learning rate falls to zero.")] = None,
    initial_adapter: Annotated[str | None, typer.Option(help="Adapter to go on from.")] = None,
    background: Annotated[
        bool, typer.Option(help="Detach, and train at low priority; the output is in LLMNER_RUNS.")
    ] = False,
    pause: Annotated[bool, typer.Option(help="Pause while tests or benchmarks run on this machine.")] = False,
) -> None:
    """Train a generator adapter."""
    from llmner.training.background import Pause, cores, runs_root, start
    from llmner.training.distributed import run
    from llmner.training.generator import train
    from llmner.training.settings import read_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given = {"output": output, "steps": steps, "decay": decay, "initial_adapter": initial_adapter}
    overrides = {key: value for key, value in given.items() if value is not None}
    if background:
        folder = runs_root() / config.stem
        settings = read_settings(config, overrides, data=data)
        options = {**overrides, "config": config, "data": data, "output": folder}
        command = [__file__, "--pause", *(f"--{key.replace('_', '-')}={value}" for key, value in options.items())]
        pid, started = start(command, folder, processes=min(cores(), settings.accumulate))
        logging.info("%s as process %d, log in %s", "started" if started else "runs already", pid, folder / "log.txt")
        sys.exit(0)
    callbacks = [Pause()] if pause else []
    adapter = run(train, read_settings(config, overrides, data=data), result="adapter", callbacks=callbacks)
    logging.info("adapter in %s", adapter)


if __name__ == "__main__":
    typer.run(main)
