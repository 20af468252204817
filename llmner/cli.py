"""The command line: options in, one call of ``commands``, an exit code out (see ``commands.outcome``)."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from llmner.commands import export, graph, lexicon
from llmner.commands.link import link
from llmner.commands.logs import Kind, log_to_stderr
from llmner.commands.outcome import errors_shown, failure_reported
from llmner.config import NumberType, load_config, tag_sets_by_language

# Ray reads these when it is imported. It prints a page for each lost worker, which our own lines count.
_QUIET_RAY = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^Task MapWorker|^A worker died or was killed",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
train = typer.Typer(no_args_is_help=True, help="Train adapters and selectors.")
app.add_typer(train, name="train")
app.add_typer(lexicon.app, name="lexicon")
app.add_typer(export.app, name="export")
app.add_typer(graph.app, name="graph")
app.command()(link)

Model = Annotated[str, typer.Option(help="Named model or its YAML file, Hugging Face id or path.")]
Adapter = Annotated[str | None, typer.Option(help="Adapter: folder or Hugging Face id.")]
OpenBias = Annotated[float, typer.Option(help="Above 0 the generator finds more, and errs more.")]
NumberTypeOption = Annotated[NumberType, typer.Option("--dtype", help="Number type to compute with.")]
Config = Annotated[Path, typer.Option(help="Settings (YAML); docs/configuration.md lists them.")]
Data = Annotated[Path, typer.Option(help="Folder that the paths of corpora are relative to.")]
Output = Annotated[str | None, typer.Option(help="Folder of checkpoints and the result.")]
Dataset = Annotated[str, typer.Argument(help="Data set; a path or URL.")]
CommitOption = Annotated[int | None, typer.Option("--commit", help="As of this commit; by default the newest.")]
Steps = Annotated[int | None, typer.Option(help="Steps of training.")]


def run(*command: str) -> None:
    """Run a command with the options of this process; what ``jobs/`` calls."""
    app([*command, *sys.argv[1:]])


@app.callback()
def main(
    log_format: Annotated[Kind, typer.Option(help="How log lines look, on standard error.")] = "text",
) -> None:
    """Biomedical entity extraction with generative language models, at the scale of whole corpora."""
    log_to_stderr(log_format)
    for key, value in _QUIET_RAY.items():
        os.environ.setdefault(key, value)


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
        code = run_extract(load_config(config, _given(overrides)), Console())
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
        job = load_config(config, {"output": "unused", **_given({"inputs": inputs or None})})
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
        job = load_config(config, _given({"inputs": inputs or None, "output": output}))
        raise typer.Exit(run_nightly(job, Console(), baseline=baseline))


@app.command("retry-failed")
def retry_failed(
    config: Annotated[Path, typer.Option(help="Job file (YAML) of the data set.")],
    output: Annotated[str | None, typer.Option(help="Data set; a path or URL.")] = None,
) -> None:
    """Try again the documents of a data set that failed or were rejected, at most three times over all nights."""
    from llmner.commands.nightly import run_retry_failed

    with errors_shown():
        code = run_retry_failed(load_config(config, _given({"output": output})), Console())
    raise typer.Exit(code)


@app.command()
def snapshots(dataset: Annotated[str, typer.Argument(help="Data set; a path or URL.")]) -> None:
    """List the commits of a data set; `llmner.open_dataset(uri, commit=N)` reads it as of one."""
    from llmner.commands.snapshots import show_snapshots

    with errors_shown():
        show_snapshots(dataset, Console())


@app.command()
def evaluate(
    data: Annotated[list[Path], typer.Option(help="Annotated sentences, JSON lines; repeatable.")],
    tag_set: Annotated[list[str], typer.Option(help="Tag set of each --data, by name or YAML file.")],
    model: Model = "embedded",
    adapter: Adapter = None,
    open_bias: OpenBias = 0.0,
    selector: Annotated[
        str | None, typer.Option(help="Measure with this selector, too: named model, folder or Hugging Face id.")
    ] = None,
    dtype: NumberTypeOption = "auto",
    limit: Annotated[int | None, typer.Option(help="Only so many sentences of each, drawn at random.", min=1)] = None,
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
    from llmner.selection.selector import selector_spec

    with errors_shown():
        run_evaluation(
            data,
            tag_set,
            Outputs(json=json, html=html, card=card),
            Console(),
            generator=generator_spec(model, adapter=adapter, open_bias=open_bias, dtype=dtype),
            selector=selector_spec(selector, dtype=dtype) if selector else None,
            limit=limit,
            types=types or (),
        )


@app.command()
def publish(
    dataset: Annotated[str, typer.Argument(help="Data set; a path or URL.")],
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
    dataset: Annotated[str, typer.Argument(help="Data set; a path or URL.")],
    keep: Annotated[int, typer.Option(help="So many of the newest snapshots can still be opened.", min=1)] = 30,
) -> None:
    """Merge the small files of a data set into large ones, and drop what no kept snapshot needs.

    The kept snapshots stay the same. Old files are removed by the next compaction, so that readers can end.
    """
    from llmner.commands.compact import run_compact

    with errors_shown():
        run_compact(dataset, keep, Console())


@app.command()
def candidates(
    data: Annotated[Path, typer.Option(help="Annotated sentences, JSON lines.")],
    tag_set: Annotated[str, typer.Option(help="Tag set they are annotated with, by name or YAML file.")],
    output: Annotated[Path, typer.Option(help="File to write to, JSON lines.")],
    model: Model = "embedded",
    adapter: Adapter = None,
    open_bias: OpenBias = 0.0,
    dtype: NumberTypeOption = "auto",
    sentences: Annotated[int | None, typer.Option(help="Only so many sentences, drawn by the seed.")] = None,
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
            data, tag_set, output, Console(stderr=True), generator=generator, sentences=sentences, seed=seed
        )


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


@app.command()
def inspect(
    dataset: Dataset,
    doc: Annotated[str | None, typer.Option(help="Identifier of a document: its own, a PMID, a DOI.")] = None,
    type: Annotated[str | None, typer.Option(help="Only documents with a mention of this type.")] = None,
    query: Annotated[str | None, typer.Option(help="Only those that mention this text or this concept.")] = None,
    sample: Annotated[int, typer.Option(help="The most documents to show.", min=1)] = 10,
    dropped: Annotated[bool, typer.Option("--dropped", help="Also what was not kept, and why.")] = False,
    commit: CommitOption = None,
    html: Annotated[str | None, typer.Option(help="File to write the page to; a path or URL.")] = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Look at documents with their mentions highlighted, on the terminal and as a page."""
    from llmner.commands.inspect import run_inspect

    with errors_shown():
        run_inspect(
            dataset,
            Console(),
            commit=commit,
            identifier=doc,
            type=type,
            query=query,
            sample=sample,
            dropped=dropped,
            html=html,
            open_page=open,
        )


@app.command()
def report(
    dataset: Dataset,
    output: Annotated[str | None, typer.Option(help="File to write; by default report.html in the data set.")] = None,
    commit: CommitOption = None,
    batch: Annotated[str | None, typer.Option(help="Only what this batch brought.")] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Annotated sentences of its documents, JSON lines: are scores probabilities?")
    ] = None,
    price: Annotated[float | None, typer.Option(help="What an hour of the machines costs.", min=0)] = None,
    memory: Annotated[str, typer.Option(help="Most memory that the joins may take.")] = "4GB",
) -> None:
    """Write a page about a data set: documents, failures, mentions, concepts, scores, rates, drift, graph."""
    from llmner.commands.report import run_report

    with errors_shown():
        run_report(
            dataset,
            Console(),
            output=output,
            commit=commit,
            batch=batch,
            gold=gold,
            price=price,
            memory=memory,
        )


@app.command()
def compare(
    first: Dataset,
    second: Annotated[str, typer.Argument(help="The other data set, or the same for two commits of it.")],
    first_commit: Annotated[int | None, typer.Option(help="Commit of the first; by default the newest.")] = None,
    second_commit: Annotated[int | None, typer.Option(help="Commit of the second; by default the newest.")] = None,
    html: Annotated[str | None, typer.Option(help="File to write the page to; a path or URL.")] = None,
    memory: Annotated[str, typer.Option(help="Most memory that the joins may take.")] = "4GB",
) -> None:
    """Show where two data sets of the same documents differ: models, thresholds or versions side by side."""
    from llmner.commands.compare import run_compare

    with errors_shown():
        run_compare(first, second, Console(), commits=(first_commit, second_commit), html=html, memory=memory)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show the card of this model; by default list all.")] = None,
) -> None:
    """List the models that have a name, or show the card of one."""
    from llmner.commands.models import show_card, show_models

    with errors_shown():
        if name:
            show_card(name, Console())
        else:
            show_models(Console())


@app.command()
def configuration() -> None:
    """Write every key of job, training and model files with its default and meaning, as Markdown."""
    from llmner.commands.configuration import configuration_page

    sys.stdout.write(configuration_page())


@train.command("generator")
def train_generator(
    config: Config,
    data: Data = Path(),
    output: Output = None,
    steps: Steps = None,
    decay: Annotated[int | None, typer.Option(help="Last steps, in which the learning rate falls to zero.")] = None,
    initial_adapter: Annotated[str | None, typer.Option(help="Adapter to go on from.")] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Train detached, at low priority; the output is in LLMNER_RUNS.")
    ] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="Pause while tests or benchmarks run on this machine.")
    ] = False,
) -> None:
    """Train a generator's adapter."""
    from llmner.commands import train as training

    overrides = _given({"output": output, "steps": steps, "decay": decay, "initial_adapter": initial_adapter})
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
        overrides = _given({"output": output, "steps": steps})
        training.train_selector(config, data, overrides, Console(), variant=variant)


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
        training.train_ablations(config, data, output, _given({"steps": steps}), Console())


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in options.items() if value is not None}
