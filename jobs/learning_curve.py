"""Draw the learning curve of a generator's training: ``python jobs/learning_curve.py --run RUN --output curve.svg``.

It shows what the run measured on development sentences so far, over the tokens that it had been trained on.
"""

import json
from pathlib import Path
from typing import Annotated

import typer


def main(
    run: Annotated[Path, typer.Option(help="Output of the run, a local folder.")],
    output: Annotated[Path, typer.Option(help="SVG file to write.")],
) -> None:
    """Draw the learning curve of a generator's training."""
    from llmner.report.plots import curves_plot
    from llmner.training.trainer import dev_scores

    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    tokens_a_step = settings["batch_tokens"] * settings["accumulate"]
    curves = {
        name: [(step * tokens_a_step / 1e6, score) for step, score in scores]
        for name, scores in dev_scores(run).items()
    }
    drawn = curves_plot(curves, x="million tokens trained on", y="strict F1 on development sentences")
    output.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
