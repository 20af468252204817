"""The command line: options in, one call, an exit code out.

Exit codes: 0 all well, 1 the job failed, 2 wrong usage or configuration, 3 the job is done but an input file was
broken or documents failed.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from llmner.config import load_config, tag_sets_by_language
from llmner.errors import ConfigError, LlmnerError

# Ray reads these when it is imported. It prints a page for each lost worker, which our own lines count.
_QUIET_RAY = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^Task MapWorker|^A worker died or was killed",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Biomedical entity extraction with generative language models, at the scale of whole corpora."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for key, value in _QUIET_RAY.items():
        os.environ.setdefault(key, value)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show an error of ours as one message with its hint and end with its exit code."""
    try:
        yield
    except LlmnerError as e:
        Console(stderr=True).print(f"error: {e}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(e, ConfigError) else 1) from e


@app.command()
def extract(
    inputs: Annotated[list[str] | None, typer.Argument(help="Files, folders or patterns; paths or URLs.")] = None,
    output: Annotated[str | None, typer.Option(help="Data set to write to; a path or URL.")] = None,
    config: Annotated[Path | None, typer.Option(help="Job file (YAML); options override it.")] = None,
    format: Annotated[str | None, typer.Option(help="Name of a format; auto looks at each file.")] = None,
    model: Annotated[str | None, typer.Option(help="Named model, Hugging Face id or path.")] = None,
    tag_set: Annotated[list[str] | None, typer.Option(help="Tag set, by name or YAML file; repeatable.")] = None,
    batch: Annotated[str | None, typer.Option(help="Name of the batch; by default it follows from the inputs.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many documents.")] = None,
) -> None:
    """Extract the entities of documents into a Parquet data set.

    The same command again goes on where it was cut off, and does nothing when all is done.
    """
    from llmner.extraction.job import run_job

    given = {"inputs": inputs, "output": output, "format": format, "model": model, "batch": batch, "limit": limit}
    overrides: dict[str, Any] = {key: value for key, value in given.items() if value not in (None, [])}
    with errors_shown():
        if tag_set:
            overrides["tag_sets"] = tag_sets_by_language(tuple(tag_set))
        code = run_job(load_config(config, overrides), Console())
    raise typer.Exit(code)


@app.command()
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Annotated sentences, JSON lines; repeatable.")],
    tag_set: Annotated[list[str], typer.Option(help="Tag set of each --data, by name or YAML file.")],
    model: Annotated[str, typer.Option(help="Named model, Hugging Face id or path.")] = "embedded",
    adapter: Annotated[str | None, typer.Option(help="Adapter folder or Hugging Face id.")] = None,
    open_bias: Annotated[float, typer.Option(help="Above 0: the generator finds more, and errs more.")] = 0.0,
    selector: Annotated[
        str | None, typer.Option(help="Measure with this selector, too: embedded, or a folder.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many sentences of each, drawn at random.", min=1)] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the figures to.")] = None,
    html: Annotated[Path | None, typer.Option(help="File to write the figures to as a page.")] = None,
    card: Annotated[Path | None, typer.Option(help="Model card to write the figures into.")] = None,
) -> None:
    """Measure a model on annotated corpora: strict span and type scores with intervals, and what goes wrong."""
    from llmner.evaluation.job import Outputs, run_evaluation

    with errors_shown():
        outputs = Outputs(json=json, html=html, card=card)
        run_evaluation(
            data,
            tag_set,
            outputs,
            Console(),
            model=model,
            adapter=adapter,
            limit=limit,
            open_bias=open_bias,
            selector=selector,
        )


@app.command()
def publish(
    dataset: Annotated[str, typer.Argument(help="Data set that a selector has scored; a path or URL.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Mentions that score below it are left out.")],
) -> None:
    """Write the flat mentions with another threshold, without running a model again."""
    from llmner.extraction.thresholds import publish_at

    with errors_shown():
        url = publish_at(dataset, threshold)
    Console().print(f"Mentions   {url}", soft_wrap=True)


@app.command()
def candidates(
    data: Annotated[Path, typer.Option(help="Annotated sentences, JSON lines.")],
    tag_set: Annotated[str, typer.Option(help="Tag set they are annotated with, by name or YAML file.")],
    output: Annotated[Path, typer.Option(help="File to write to, JSON lines.")],
    model: Annotated[str, typer.Option(help="Named model, Hugging Face id or path.")] = "embedded",
    adapter: Annotated[str | None, typer.Option(help="Adapter folder or Hugging Face id.")] = None,
    open_bias: Annotated[float, typer.Option(help="Above 0: find more, and err more.")] = 0.0,
    sentences: Annotated[int | None, typer.Option(help="Only so many sentences, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 13,
) -> None:
    """Write what a generator finds in annotated sentences, for training and measuring a selector.

    Give sentences that the generator was not trained on: on those it was it makes too few mistakes.
    """
    from random import Random

    from llmner.annotations import read_annotations
    from llmner.models import load_engine
    from llmner.selection.candidates import find_candidates
    from llmner.tagset import load_tag_set

    with errors_shown():
        types = load_tag_set(tag_set)
        read = read_annotations(data, types=[t.name for t in types.types])
        if not read:
            raise ConfigError(f"{data}: no sentences to find candidates in")
        count = len(read) if sentences is None else min(sentences, len(read))
        chosen = {i + 1: read[i] for i in sorted(Random(seed).sample(range(len(read)), count))}
        engine = load_engine(model, adapter=adapter, open_bias=open_bias)
        found = 0
        with output.open("w", encoding="utf-8") as stream:
            for judged in find_candidates(engine, chosen, types, source=data.name):
                stream.write(judged.to_json() + "\n")
                found += len(judged.candidates)
    Console(stderr=True).print(f"{len(chosen)} sentences with {found} candidates in {output}")


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
def sources() -> None:
    """List the formats that can be read, how each is recognised and what of it is kept."""
    from llmner.commands.sources import show_formats

    show_formats(Console())


@app.command()
def show(
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or patterns; paths or URLs.")],
    format: Annotated[str, typer.Option(help="Name of a format; auto looks at each file.")] = "auto",
    field: Annotated[list[str] | None, typer.Option(help="Our field and theirs, text=body; repeatable.")] = None,
    limit: Annotated[int, typer.Option(help="Only so many documents.", min=1)] = 10,
) -> None:
    """Show documents as an extraction will see them: parts, languages and sentences."""
    from llmner.commands.show import show_documents

    with errors_shown():
        code = show_documents(inputs, format, field or (), limit, Console())
    raise typer.Exit(code)
