"""Train and measure the variants of a training: ``python jobs/ablations.py --config configs/training/ablations.yaml``.

Writes ``ablations.md`` and ``ablations.json`` into the output. Run again, it goes on; variants that have their
figures are not run again.
"""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer


def main(
    config: Annotated[Path, typer.Option(help="Settings of a training with `variants`.")],
    data: Annotated[Path, typer.Option(help="Folder that the corpora's paths are relative to.")] = Path(),
    output: Annotated[Path, typer.Option(help="Local folder of the runs and the table.")] = Path("runs/ablations"),
    steps: Annotated[int | None, typer.Option(help="Steps of each variant.")] = None,
) -> None:
    """Train and measure the variants of a training."""
    from llmner.training.ablations import read_variants, run_variants, table

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    overrides = {"output": str(output), **({"steps": steps} if steps else {})}
    variants = read_variants(config, overrides, data=data)
    figures = run_variants(variants)
    (output / "ablations.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1), encoding="utf-8")
    (output / "ablations.md").write_text(table(figures, next(iter(variants.values()))), encoding="utf-8")
    logging.info("table in %s", output / "ablations.md")


if __name__ == "__main__":
    typer.run(main)
