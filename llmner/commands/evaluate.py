"""``llmner evaluate``: annotated corpora in, a table of each on the terminal and the files that were asked for.

Invariant: what is wrong with corpora or outputs is told before a model is loaded.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from llmner.annotations import AnnotatedSentence, draw, read_annotations
from llmner.commands.convert import parsed_types
from llmner.commands.progress import steps_shown
from llmner.errors import ConfigError
from llmner.evaluation.card import figures_section, with_section
from llmner.evaluation.evaluate import Evaluation, evaluate
from llmner.evaluation.figures import Measured
from llmner.evaluation.selection import Selected, select
from llmner.models.loading import load_engine
from llmner.models.spec import GeneratorSpec, SelectorSpec
from llmner.report.evaluation import evaluation_page
from llmner.selection.loading import load_selector
from llmner.selection.selector import read_settings
from llmner.tagset import TagSet, load_tag_set


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write; None for none.

    Attributes:
        json: The figures.
        html: The same figures as a page for people.
        card: An existing model card; its section of figures is replaced.
    """

    json: Path | None = None
    html: Path | None = None
    card: Path | None = None

    def check(self) -> None:
        """Check that they can be written.

        Raises:
            ConfigError: One of them cannot.
        """
        for path in (self.json, self.html):
            if path is None:
                continue
            if not path.absolute().parent.is_dir():
                raise ConfigError(f"{path}: no such folder", hint="make it first")
            if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
                raise ConfigError(f"{path}: cannot be written")
        if self.card is not None:
            try:
                with_section(self.card.read_text(encoding="utf-8"), "")
            except (OSError, UnicodeDecodeError) as e:
                raise ConfigError(f"{self.card}: cannot be read as a model card: {e}") from e


def run_evaluation(
    data: Sequence[Path],
    tag_sets: Sequence[str],
    outputs: Outputs,
    console: Console,
    *,
    generator: GeneratorSpec,
    selector: SelectorSpec | None = None,
    limit: int | None = None,
    types: Sequence[str] = (),
) -> None:
    """Measure a model on corpora, and show and write the figures.

    Args:
        data: Files of annotated sentences.
        tag_sets: The tag set of each, by name or YAML file.
        outputs: Files to write.
        console: Where tables go.
        generator: The generator.
        selector: A selector to measure the generator with, as well as alone.
        limit: Sentences to measure of each corpus, in whole documents, drawn at random, the same ones each time.
        types: For each corpus which of its types counts as which of the tag set's, as ``A=B,C``; empty where the
            corpus is annotated with the tag set.

    Raises:
        LlmnerError: A corpus, a tag set, an output or the model cannot be used.
    """
    if len(data) != len(tag_sets):
        raise ConfigError(
            f"{len(data)} files of annotated sentences and {len(tag_sets)} tag sets",
            hint="give each --data its --tag-set",
        )
    if types and len(types) != len(data):
        raise ConfigError(
            f"{len(data)} files of annotated sentences and {len(types)} maps of types",
            hint="give each --data its --types, empty where there is nothing to map",
        )
    outputs.check()
    maps = [parsed_types(given) if given else None for given in types] or [None] * len(data)
    corpora = [
        _corpus(path, load_tag_set(name), mapped, limit)
        for path, name, mapped in zip(data, tag_sets, maps, strict=True)
    ]
    engine = load_engine(generator)
    evaluations = []
    for (name, sentences, tag_set), mapped in zip(corpora, maps, strict=True):
        counted = None if mapped is None else set(mapped.values())
        with steps_shown(console, f"sentences of {name}") as progress:
            evaluations.append(evaluate(engine, sentences, tag_set, corpus=name, types=counted, progress=progress))
        console.print(table(evaluations[-1]))
    measured = generator.fingerprint()
    if selector is not None:
        settings, judge = read_settings(selector.folder), load_selector(selector)
        measured |= {f"selector {key}": value for key, value in selector.fingerprint().items()}
        alone, evaluations = evaluations, []
        for before in alone:
            with steps_shown(console, f"sentences of {before.corpus} judged") as progress:
                together = select(judge, settings, before, progress=progress).evaluation
            evaluations += [before, together]
            console.print(table(together))
    _write(outputs, evaluations, measured, date.today())


def _corpus(
    path: Path, tag_set: TagSet, types: Mapping[str, str] | None, limit: int | None
) -> tuple[str, list[AnnotatedSentence], TagSet]:
    """Return name, sentences and tag set of a corpus."""
    if types is None:
        sentences = read_annotations(path, types=[t.name for t in tag_set.types])
    else:
        tag_set.narrowed(types.values())  # tells names that are not in it
        sentences = [s.mapped(types) for s in read_annotations(path)]
    if not sentences:
        raise ConfigError(f"{path}: no sentences to measure on")
    name = f"{path.absolute().parent.name} {path.stem}"
    drawn = draw(sentences, limit, seed=0)
    if len(drawn) == len(sentences):
        return name, sentences, tag_set
    return f"{name}, drawn from {len(sentences):,}", [sentences[i] for i in drawn], tag_set


def _write(outputs: Outputs, evaluations: Sequence[Evaluation], engine: dict[str, str], day: date) -> None:
    if outputs.json is not None:
        content = {"date": day.isoformat(), "engine": engine, "corpora": [e.to_dict() for e in evaluations]}
        outputs.json.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if outputs.html is not None:
        outputs.html.write_text(evaluation_page(evaluations, engine, day), encoding="utf-8")
    if outputs.card is not None:
        card = outputs.card.read_text(encoding="utf-8")
        outputs.card.write_text(with_section(card, figures_section(evaluations, engine, day)), encoding="utf-8")


def table(evaluation: Evaluation) -> Table:
    """Return the scores by type and nesting, for a terminal."""
    figures = evaluation.figures
    result = Table(
        title=f"{evaluation.corpus}, tag set {evaluation.tag_set.name}",
        caption=f"macro F1 {evaluation.scores.macro['f1']:.4f}; {len(evaluation.sentences)} sentences, "
        f"{evaluation.failed} failed; {evaluation.source_tokens_per_second:.0f} source tokens a second"
        f"{_gain(evaluation.selected)}",
    )
    for column in ("", "precision", "recall", "F1", "95 % interval", "gold", "predicted"):
        result.add_column(column, justify="right" if column else "left")
    for groups in (figures.by["type"], figures.by["nesting"], {"all (micro)": figures.all}):
        for name, measured in groups.items():
            result.add_row(name, *_row(measured))
        result.add_section()
    return result


def _gain(selected: Selected | None) -> str:
    """Say what a selector earned; nothing without one."""
    if selected is None:
        return ""
    compared = selected.comparison
    return (
        f"; F1 {compared.difference:+.4f} ({compared.interval.low:+.3f} to {compared.interval.high:+.3f}) by the "
        f"selector, calibration error {selected.calibration_error:.3f}, {selected.seconds:.1f} s of its own"
    )


def _row(measured: Measured) -> list[str]:
    score, interval = measured.score, measured.intervals.f1
    rates = [f"{rate:.4f}" for rate in (score.precision, score.recall, score.f1)]
    return [*rates, f"{interval.low:.3f}–{interval.high:.3f}", str(score.gold), str(score.predicted)]
