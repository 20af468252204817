"""Commands that make a data set and keep it up to date."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from llmner.cli.options import Adapter, Dataset, given
from llmner.commands.outcome import errors_shown, failure_reported
from llmner.config import NumberType, load_config, tag_sets_by_language

app = typer.Typer()


@app.command()
def extract(
    inputs: Annotated[list[str] | None, typer.Argument(help="Files, folders or patterns; paths or URLs.")] = None,
    output: Annotated[str | None, typer.Option(help="Data set to write to; a path or URL.")] = None,
    config: Annotated[Path | None, typer.Option(help="Job file (YAML); options override it.")] = None,
    format: Annotated[str | None, typer.Option(help="Name of a format; auto looks at each file.")] = None,
    model: Annotated[str | None, typer.Option(help="Named model or its YAML file, Hugging Face id or path.")] = None,
    adapter: Adapter = None,
    open_bias: Annotated[float | None, typer.Option(help="Above 0 the generator finds more, and errs more.")] = None,
    selector: Annotated[
        str | None, typer.Option(help="Keep what this selector lets pass: named model, folder or Hugging Face id.")
    ] = None,
    dtype: Annotated[NumberType | None, typer.Option(help="Number type to compute with.")] = None,
    tag_set: Annotated[list[str] | None, typer.Option(help="Tag set, by name or YAML file; repeatable.")] = None,
    batch: Annotated[str | None, typer.Option(help="Name of the batch; by default it follows from the inputs.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many documents.")] = None,
) -> None:
    """Extract the entities of documents into a Parquet data set.

    Rerun the same command after any interruption; it resumes, and does nothing when all is done.
    """
    from llmner.commands.extract import run_extract

    overrides: dict[str, Any] = {
        "inputs": inputs or None,
        "output": output,
        "format": format,
        "model": model,
        "adapter": adapter,
        "open_bias": open_bias,
        "select": {"mode": "on", "model": selector} if selector else None,
        "dtype": dtype,
        "batch": batch,
        "limit": limit,
    }
    with errors_shown():
        overrides["tag_sets"] = tag_sets_by_language(tuple(tag_set)) if tag_set else None
        code = run_extract(load_config(config, given(overrides)), Console())
    raise typer.Exit(code)


@app.command()
def plan(
    inputs: Annotated[list[str] | None, typer.Argument(help="Files, folders or patterns; paths or URLs.")] = None,
    config: Annotated[Path | None, typer.Option(help="Job file (YAML).")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Load the models here and measure them for a minute.")
    ] = False,
    price: Annotated[float | None, typer.Option(help="What an hour of a worker costs.", min=0)] = None,
) -> None:
    """Say what a run will take: documents, tokens, time, memory, output, requests and money; nothing is started."""
    from llmner.commands.plan import run_plan

    with errors_shown():
        job = load_config(config, {"output": "unused", **given({"inputs": inputs or None})})
        run_plan(job, Console(), measured=measure, price=price)


@app.command()
def nightly(
    inputs: Annotated[list[str] | None, typer.Argument(help="Where new files appear; paths or URLs.")] = None,
    output: Annotated[str | None, typer.Option(help="Data set to bring up to date; a path or URL.")] = None,
    config: Annotated[Path | None, typer.Option(help="Job file (YAML); options override it.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="The inputs are a whole new baseline and replace all before them.")
    ] = False,
    on_failure: Annotated[
        str | None, typer.Option(help="Command to run on failure; it gets JSON: exit_code and message.")
    ] = None,
) -> None:
    """Extract the files that the data set does not hold yet, in the order of their names, each a batch of its own.

    Documents whose text has not changed are not tagged again. When there is nothing new, nothing happens.
    """
    from llmner.commands.nightly import run_nightly

    with failure_reported(on_failure), errors_shown():
        job = load_config(config, given({"inputs": inputs or None, "output": output}))
        raise typer.Exit(run_nightly(job, Console(), baseline=baseline))


@app.command("retry-failed")
def retry_failed(
    config: Annotated[Path, typer.Option(help="Job file (YAML) of the data set.")],
    output: Annotated[str | None, typer.Option(help="Data set; a path or URL.")] = None,
) -> None:
    """Try again the documents of a data set that failed or were rejected, at most three times over all nights."""
    from llmner.commands.nightly import run_retry_failed

    with errors_shown():
        code = run_retry_failed(load_config(config, given({"output": output})), Console())
    raise typer.Exit(code)


@app.command()
def snapshots(dataset: Dataset) -> None:
    """List the commits of a data set; `llmner.open_dataset(uri, commit=N)` reads it as of one."""
    from llmner.commands.snapshots import show_snapshots

    with errors_shown():
        show_snapshots(dataset, Console())


@app.command()
def publish(
    dataset: Dataset,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Write all mentions that score so high, instead of the view.")
    ] = None,
    delta: Annotated[
        bool, typer.Option("--delta", help="Make the files a version of Delta tables, too; needs llmner[delta].")
    ] = False,
) -> None:
    """Write the current view as plain Parquet files, those in which something has changed.

    With a threshold: write the flat mentions of all batches anew, from the selector's scores, without running a model.
    """
    from llmner.commands.publish import run_publish, run_publish_view

    with errors_shown():
        if threshold is None:
            run_publish_view(dataset, Console(), delta=delta)
        else:
            run_publish(dataset, threshold, Console())


@app.command()
def compact(
    dataset: Dataset,
    keep: Annotated[int, typer.Option(help="So many of the newest snapshots can still be opened.", min=1)] = 30,
) -> None:
    """Merge the small files of a data set into large ones, and drop what no kept snapshot needs.

    The kept snapshots stay the same. Old files are removed by the next compaction, so that readers can end.
    """
    from llmner.commands.compact import run_compact

    with errors_shown():
        run_compact(dataset, keep, Console())
