"""Train a generator adapter: ``python jobs/train_generator.py --config configs/training/embedded.yaml``.

Run again after a stop, it goes on from the last checkpoint. With ``cluster.workers`` in the configuration it trains
on a Ray cluster; without, in this process, which needs no Ray (and under ``torchrun`` on all GPUs of a machine).
"""

import logging
from pathlib import Path
from typing import Annotated

import typer


def main(
    config: Annotated[Path, typer.Option(help="Settings, see llmner.training.settings.GeneratorTraining.")],
    data: Annotated[Path, typer.Option(help="Folder that the corpora's paths are relative to.")] = Path(),
    output: Annotated[str | None, typer.Option(help="Folder of checkpoints and the adapter.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.")] = None,
) -> None:
    """Train a generator adapter."""
    from llmner.training.distributed import run
    from llmner.training.generator import train
    from llmner.training.settings import read_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    overrides = {k: v for k, v in (("output", output), ("steps", steps)) if v is not None}
    adapter = run(train, read_settings(config, overrides, data=data), result="adapter")
    logging.info("adapter in %s", adapter)


if __name__ == "__main__":
    typer.run(main)
