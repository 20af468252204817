"""Train a selector: ``python jobs/train_selector.py --config configs/training/embedded_selector.yaml``.

Run again after a stop, it goes on from the last checkpoint. With ``cluster.workers`` in the configuration it trains
on a Ray cluster; without, in this process, which needs no Ray (and under ``torchrun`` on all GPUs of a machine).
"""

import logging
from pathlib import Path
from typing import Annotated

import typer


def main(
    config: Annotated[Path, typer.Option(help="Settings, see llmner.training.selection_corpus.SelectorTraining.")],
    data: Annotated[Path, typer.Option(help="Folder that corpora and candidates are relative to.")] = Path(),
    output: Annotated[str | None, typer.Option(help="Folder of checkpoints and the selector.")] = None,
    variant: Annotated[str | None, typer.Option(help="Which of the configuration's variants, for ablations.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all.")] = None,
) -> None:
    """Train a selector."""
    from llmner.training.distributed import run
    from llmner.training.selection_corpus import read_training
    from llmner.training.selector import train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    overrides = {k: v for k, v in (("output", output), ("steps", steps)) if v is not None}
    selector = run(train, read_training(config, overrides, data=data, variant=variant), result="selector")
    logging.info("selector in %s", selector)


if __name__ == "__main__":
    typer.run(main)
