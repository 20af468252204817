"""Train a generator adapter: ``python jobs/train_generator.py --config configs/training/embedded.yaml``.

Run again after a stop, it goes on from the last checkpoint.
"""

import logging
from pathlib import Path
from typing import Annotated

import typer
import yaml


def main(
    config: Annotated[Path, typer.Option(help="Settings, see llmner.training.generator.GeneratorTraining.")],
    data: Annotated[Path, typer.Option(help="Folder that the corpora's paths are relative to.")] = Path(),
    output: Annotated[Path | None, typer.Option(help="Folder of checkpoints and the adapter.")] = None,
    steps: Annotated[int | None, typer.Option(help="Batches in all.")] = None,
) -> None:
    """Train a generator adapter."""
    from llmner.training.generator import GeneratorTraining, train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    if output is not None:
        settings["output"] = output
    if steps is not None:
        settings["steps"] = steps
    for corpus in settings["corpora"]:
        corpus["train"] = data / corpus["train"]
    adapter = train(GeneratorTraining.model_validate(settings))
    logging.info("adapter in %s", adapter)


if __name__ == "__main__":
    typer.run(main)
