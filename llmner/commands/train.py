"""``llmner train``: generators, selectors, variants of a training side by side, corpora filled in, learning curves.

A run that stopped goes on from its last checkpoint when the same command is run again. With ``cluster.workers`` in the
settings it trains on a Ray cluster; without, in this process, which needs no Ray (and under ``torchrun`` on all GPUs of
a machine).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from llmner.cores import available_cores
from llmner.errors import ConfigError
from llmner.models.loading import load_engine
from llmner.models.registry import generator_spec
from llmner.report.plots import curves_plot
from llmner.selection.candidates import read_candidates
from llmner.selection.selector import write_settings
from llmner.selection.weighing import fit_weighing
from llmner.tagset import load_tag_set
from llmner.training import ablations, generator, selector
from llmner.training.background import Pause, runs_root, start, yield_to_others
from llmner.training.distributed import run
from llmner.training.examples import asked_tag_set, read_sentences
from llmner.training.filling import filled, to_json
from llmner.training.selection_corpus import read_training
from llmner.training.settings import read_settings
from llmner.training.trainer import dev_scores

_DOUBT = 1.0  # bias towards opening tags, so that what a model nearly found is seen, too


def train_generator(
    config: Path, data: Path, overrides: Mapping[str, Any], console: Console, *, pause: bool = False
) -> None:
    """Train a generator's adapter and say where it is.

    Args:
        config: Settings, see ``settings.GeneratorTraining``.
        data: Folder that the corpora's paths are relative to.
        overrides: Settings that replace the file's, by key.
        console: Where the summary goes.
        pause: Whether to give way to all other work of this machine, and pause while tests or benchmarks run on it.

    Raises:
        LlmnerError: The settings cannot be used, or the training failed.
    """
    callbacks = []
    if pause:
        yield_to_others()
        callbacks.append(Pause())
    folder = run(generator.train, read_settings(config, overrides, data=data), result="adapter", callbacks=callbacks)
    console.print(f"Adapter    {folder}", soft_wrap=True)


def start_in_background(config: Path, data: Path, overrides: Mapping[str, Any], console: Console) -> None:
    """Start a generator's training beneath all other work, or say that it runs already.

    Args:
        config: Settings, see ``settings.GeneratorTraining``; its output is a folder of its name in ``LLMNER_RUNS``.
        data: Folder that the corpora's paths are relative to.
        overrides: Settings that replace the file's, by key.
        console: Where the summary goes.

    Raises:
        LlmnerError: The settings cannot be used.
    """
    folder = runs_root() / config.stem
    settings = read_settings(config, overrides, data=data)
    options = {**overrides, "config": config, "data": data, "output": folder}
    given = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    command = ["-m", "llmner", "train", "generator", "--pause", *given]
    pid, started = start(command, folder, processes=min(available_cores(), settings.accumulate))
    console.print(f"{'Started' if started else 'Runs already'} as process {pid}; its log is {folder / 'log.txt'}")


def fill_in(
    config: Path, data: Path, corpus: str, output: Path, console: Console, *, adapter: str | None, sure: float
) -> None:
    """Write a corpus's training sentences with the types that it does not annotate filled in by a model.

    Args:
        config: Settings of a generator's training that has the corpus with a map of types.
        data: Folder that the corpora's paths are relative to.
        corpus: Its name there.
        output: File of annotated sentences to write.
        console: Where the summary goes.
        adapter: Adapter of the model; None for the model's own.
        sure: See ``filling.filled``.

    Raises:
        LlmnerError: The settings, the corpus or the model cannot be used.
    """
    settings = read_settings(config, {}, data=data)
    chosen = next((c for c in settings.corpora if c.name == corpus), None)
    if chosen is None or chosen.types is None:
        raise ConfigError(f"{config}: no corpus {corpus} with a map of types")
    sentences = read_sentences(chosen, chosen.train)
    engine = load_engine(generator_spec(settings.model, adapter=adapter, open_bias=_DOUBT))
    written = 0
    with output.open("w", encoding="utf-8") as stream:
        whole = load_tag_set(chosen.tag_set)
        for sentence in filled(engine, sentences, asked_tag_set(chosen), whole, sure=sure):
            stream.write(to_json(sentence) + "\n")
            written += 1
    console.print(f"{written} of {len(sentences)} sentences with all types in {output}", soft_wrap=True)


def draw_curve(run: Path, output: Path) -> None:
    """Draw what a generator's training has measured on development sentences, over the tokens trained on.

    Args:
        run: The training's output, a local folder.
        output: SVG file to write.

    Raises:
        ConfigError: Nothing was measured yet.
    """
    scores = dev_scores(run)
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    millions_a_step = settings["batch_tokens"] * settings["accumulate"] / 1e6
    curves = {name: [(step * millions_a_step, f1) for step, f1 in points] for name, points in scores.items()}
    drawn = curves_plot(curves, x="million tokens trained on", y="strict F1 on development sentences")
    output.write_text(drawn, encoding="utf-8")


def train_selector(
    config: Path, data: Path, overrides: Mapping[str, Any], console: Console, *, variant: str | None
) -> None:
    """Train a selector and say where it is.

    Args:
        config: Settings, see ``selection_corpus.SelectorTraining``.
        data: Folder that corpora and candidates are relative to.
        overrides: Settings that replace the file's, by key.
        console: Where the summary goes.
        variant: Which of the settings' variants to train; None for the settings themselves.

    Raises:
        LlmnerError: The settings cannot be used, or the training failed.
    """
    settings = read_training(config, overrides, data=data, variant=variant)
    folder = run(selector.train, settings, result="selector")
    console.print(f"Selector   {folder}", soft_wrap=True)


def fit_weights(candidates: Sequence[Path], output: Path, console: Console, *, open_bias: float) -> None:
    """Fit a selector that reads nothing again, and show what it earns on documents that it was not fitted to.

    Args:
        candidates: Files of candidates in dev sentences.
        output: Folder to write it to; made if need be.
        console: Where the figures go.
        open_bias: Bias of the generator that found them.

    Raises:
        InputError: A file is not one of candidates.
    """
    settings = fit_weighing([s for path in candidates for s in read_candidates(path)], open_bias=open_bias)
    output.mkdir(parents=True, exist_ok=True)
    write_settings(output, settings)
    names = list(next(iter(settings.measured.values())))
    table = Table("tag set", *names)
    for name, measured in settings.measured.items():
        table.add_row(name, *(f"{measured[n]:g}" for n in names))
    console.print(table)
    console.print(f"Selector   {output}", soft_wrap=True)


def train_ablations(config: Path, data: Path, output: Path, overrides: Mapping[str, Any], console: Console) -> None:
    """Train and measure the variants of a generator's training; those that have their figures are not run again.

    Writes ``ablations.md`` and ``ablations.json`` into the output.

    Args:
        config: Settings with ``variants``.
        data: Folder that the corpora's paths are relative to.
        output: Local folder of the runs and the table.
        overrides: Settings that replace the file's, by key.
        console: Where the summary goes.

    Raises:
        LlmnerError: The settings cannot be used, or a training failed.
    """
    variants = ablations.read_variants(config, {**overrides, "output": str(output)}, data=data)
    figures = ablations.run_variants(variants)
    (output / "ablations.json").write_text(json.dumps(figures, ensure_ascii=False, indent=1), encoding="utf-8")
    table = output / "ablations.md"
    table.write_text(ablations.table(figures, next(iter(variants.values()))), encoding="utf-8")
    console.print(f"Table      {table}", soft_wrap=True)
