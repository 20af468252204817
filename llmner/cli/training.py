"""Commands that measure and train models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from llmner.cli.options import Adapter, Config, Data, Model, NumberTypeOption, OpenBias, Output, Steps, given
from llmner.commands.outcome import errors_shown

app = typer.Typer()
train = typer.Typer(no_args_is_help=True, help="Train adapters and selectors.")
app.add_typer(train, name="train")


@app.command()
def convert(
    inputs: Annotated[list[str], typer.Argument(help="Files or folders of an annotated corpus; paths or URLs.")],
    format: Annotated[str, typer.Option(help="pubtator, bioc, bio, cmeee or brat.")],
    output: Annotated[Path | None, typer.Option(help="File to write to; standard output by default.")] = None,
    types: Annotated[str | None, typer.Option(help="Types to keep, comma between; A=B calls A B.")] = None,
) -> None:
    """Convert an annotated corpus to JSON lines, a sentence a line, for training and evaluation."""
    from llmner.commands.convert import run_convert

    with errors_shown():
        code = run_convert(inputs, format, output, types, Console(stderr=True))
    raise typer.Exit(code)


@app.command()
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Annotated sentences, JSON lines; repeatable.")],
    tag_set: Annotated[list[str], typer.Option(help="Tag set of each --data, by name or YAML file.")],
    model: Model = "embedded",
    adapter: Adapter = None,
    open_bias: Annotated[
        float | None, typer.Option(help="As in extract; by default what the selector was fitted to, 0 without one.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option(help="Measure with this selector, too: named model, folder or Hugging Face id.")
    ] = None,
    dtype: NumberTypeOption = "auto",
    limit: Annotated[
        int | None, typer.Option(help="Only so many sentences of each, in documents drawn at random.", min=1)
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(help="For each --data which of its types is which of the tag set's: A=B,C. Others do not count."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the figures to.")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write the figures to as a page.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card to write the figures into.")] = None,
) -> None:
    """Measure a model on annotated corpora: strict span and type scores with intervals, and what goes wrong."""
    from llmner.commands.evaluate import Outputs, run_evaluation
    from llmner.models.registry import generator_spec
    from llmner.selection.selector import fitted_open_bias, selector_spec

    with errors_shown():
        bias = fitted_open_bias(selector) if open_bias is None else open_bias
        run_evaluation(
            data,
            tag_set,
            Outputs(json=json, html=html, card=card),
            Console(),
            generator=generator_spec(model, adapter=adapter, open_bias=bias, dtype=dtype),
            selector=selector_spec(selector, dtype=dtype) if selector else None,
            limit=limit,
            types=types or (),
        )


@app.command()
def candidates(
    data: Annotated[Path, typer.Option(help="Annotated sentences, JSON lines.")],
    tag_set: Annotated[str, typer.Option(help="Tag set they are annotated with, by name or YAML file.")],
    output: Annotated[Path, typer.Option(help="File to write to, JSON lines.")],
    model: Model = "embedded",
    adapter: Adapter = None,
    open_bias: OpenBias = 0.0,
    dtype: NumberTypeOption = "auto",
    types: Annotated[
        str | None, typer.Option(help="Types of the corpus as those of the tag set, A=B,C; only these are candidates.")
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(help="Only so many sentences, in documents drawn by the seed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 13,
) -> None:
    """Write what a generator finds in annotated sentences, for training and measuring a selector.

    Give sentences that the generator was not trained on: on those it was trained on it makes too few mistakes.
    """
    from llmner.commands.candidates import write_candidates
    from llmner.models.registry import generator_spec

    with errors_shown():
        generator = generator_spec(model, adapter=adapter, open_bias=open_bias, dtype=dtype)
        write_candidates(
            data,
            tag_set,
            output,
            Console(stderr=True),
            generator=generator,
            types=types,
            sentences=sentences,
            seed=seed,
        )


@train.command("generator")
def train_generator(
    config: Config,
    data: Data = Path(),
    output: Output = None,
    steps: Steps = None,
    decay: Annotated[int | None, typer.Option(help="Last steps, in which the learning rate falls to zero.")] = None,
    initial_adapter: Annotated[
        str | None, typer.Option(help="Adapter to go on from: folder, Hugging Face id or named model.")
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Train detached, at low priority; the output is in LLMNER_RUNS.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause while tests or benchmarks run on this machine.")
    ] = False,
) -> None:
    """Train a generator's adapter."""
    from llmner.commands import train as training

    overrides = given({"output": output, "steps": steps, "decay": decay, "initial_adapter": initial_adapter})
    with errors_shown():
        if background:
            training.start_in_background(config, data, overrides, Console())
        else:
            training.train_generator(config, data, overrides, Console(), pause=pause)


@train.command("fill")
def train_fill(
    config: Config,
    corpus: Annotated[str, typer.Option(help="Name of the corpus in the settings; it has a map of types.")],
    output: Annotated[Path, typer.Option(help="File to write to, JSON lines.")],
    data: Data = Path(),
    adapter: Adapter = None,
    sure: Annotated[float, typer.Option(min=0, max=1, help="Score from which a mention is taken.")] = 0.9,
) -> None:
    """Fill in the types that a corpus does not annotate, so that it can be asked for all types at once."""
    from llmner.commands import train as training

    with errors_shown():
        training.fill_in(config, data, corpus, output, Console(), adapter=adapter, sure=sure)


@train.command("curve")
def train_curve(
    run: Annotated[Path, typer.Argument(help="Output of a generator's training, a local folder.")],
    output: Annotated[Path, typer.Argument(help="SVG file to write.")],
) -> None:
    """Draw what a training has measured on development sentences so far."""
    from llmner.commands import train as training

    with errors_shown():
        training.draw_curve(run, output)


@train.command("selector")
def train_selector(
    config: Config,
    data: Data = Path(),
    output: Output = None,
    variant: Annotated[str | None, typer.Option(help="Which of the settings' variants, for ablations.")] = None,
    steps: Steps = None,
) -> None:
    """Train a selector."""
    from llmner.commands import train as training

    with errors_shown():
        overrides = given({"output": output, "steps": steps})
        training.train_selector(config, data, overrides, Console(), variant=variant)


@train.command("weights")
def train_weights(
    candidates: Annotated[list[Path], typer.Argument(help="Files of candidates in dev sentences.")],
    output: Annotated[Path, typer.Option(help="Folder to write the selector to.")],
    open_bias: OpenBias = 0.0,
) -> None:
    """Fit a selector that reads nothing again: it weighs a candidate's score and what its document says of its string.

    Give candidates in whole documents, found with the same --open-bias.
    """
    from llmner.commands import train as training

    with errors_shown():
        training.fit_weights(candidates, output, Console(), open_bias=open_bias)


@train.command("ablations")
def train_ablations(
    config: Config,
    data: Data = Path(),
    output: Annotated[Path, typer.Option(help="Local folder of the runs and the table.")] = Path("runs/ablations"),
    steps: Steps = None,
) -> None:
    """Train and measure the variants of a generator's training, side by side."""
    from llmner.commands import train as training

    with errors_shown():
        training.train_ablations(config, data, output, given({"steps": steps}), Console())
