"""What the parts of the method earn: the same training with one thing changed at a time, side by side.

Invariant: a variant is its settings; one that has its figures is not run again, so a table grows by further variants
and survives a stop.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmner.evaluation.evaluate import evaluate
from llmner.models.loading import load_engine
from llmner.models.registry import generator_spec
from llmner.training.development import read_development
from llmner.training.distributed import run
from llmner.training.generator import train
from llmner.training.settings import GeneratorTraining, changed, generator_settings, read_whole

logger = logging.getLogger(__name__)


def read_variants(path: Path, overrides: Mapping[str, Any], *, data: Path = Path()) -> dict[str, GeneratorTraining]:
    """Return the settings of each variant, by its name.

    Args:
        path: YAML of a generator's training, with ``variants``: names, each with what is different.
        overrides: Values that replace the file's in all variants, by key.
        data: Folder that the corpora's paths are relative to.

    Raises:
        ConfigError: See ``settings.read_settings``.
    """
    raw = changed(read_whole(path), overrides)
    variants = raw.pop("variants", {})
    result = {}
    for name, changes in variants.items():
        settings = generator_settings(changed(raw, changes), f"{path}, {name}", data=data)
        result[name] = settings.model_copy(update={"output": str(Path(settings.output, _folder(name)))})
    return result


def run_variants(variants: Mapping[str, GeneratorTraining]) -> dict[str, dict[str, Any]]:
    """Train and measure each variant that has no figures yet.

    Args:
        variants: Settings by name; their outputs are local folders.

    Returns:
        Figures by name, see ``measure_adapter``.
    """
    figures = {}
    for name, settings in variants.items():
        adapter = run(train, settings, result="adapter")  # also refuses what is there with other settings
        file = Path(settings.output, "figures.json")
        if not file.exists():
            logger.info("%s: measuring", name)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(measure_adapter(adapter, settings), indent=1), encoding="utf-8")
            part.replace(file)
        figures[name] = json.loads(file.read_text(encoding="utf-8"))
    return figures


def measure_adapter(adapter: str, settings: GeneratorTraining) -> dict[str, Any]:
    """Strict scores of an adapter on its run's development sentences, with intervals, by corpus."""
    engine = load_engine(generator_spec(settings.model, adapter=adapter))
    corpora = read_development(settings)
    return {
        c.name: {
            "left_out": not c.decides,
            "sentences": len(c.sentences),
            **evaluate(engine, c.sentences, c.tag_set, corpus=c.name).figures.all.to_dict(),
        }
        for c in corpora
    }


def table(figures: Mapping[str, Mapping[str, Any]], settings: GeneratorTraining) -> str:
    """F1 of each variant on each corpus, as Markdown."""
    corpora = list(dict.fromkeys(name for variant in figures.values() for name in variant))
    length = f"{settings.steps} steps" if settings.steps else f"{settings.epochs} epochs"
    lines = [
        f"Strict F1 on development sentences (at most {settings.dev_sentences} a corpus), {settings.model}, "
        f"{length} of about {settings.batch_tokens} tokens a batch; 95 % intervals over sentences. In italics: nothing "
        "of the corpus was trained on.",
        "",
        f"| variant | {' | '.join(corpora)} |",
        f"|---|{'---|' * len(corpora)}",
    ]
    for name, variant in figures.items():
        lines.append(f"| {name} | {' | '.join(_cell(variant[corpus]) for corpus in corpora)} |")
    return "\n".join(lines) + "\n"


def _cell(measured: Mapping[str, Any]) -> str:
    interval = measured["intervals"]["f1"]
    f1 = f"{measured['f1']:.3f}"
    return f"{f'*{f1}*' if measured['left_out'] else f1} ({interval['low']:.2f}–{interval['high']:.2f})"


def _folder(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
