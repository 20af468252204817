"""Trains a selector: a LoRA adapter and a head that tell right candidates from wrong ones.

Samples come from annotated sentences and from a generator's candidates on sentences that it was not trained on
(``selection/samples.py``); the loss is binary cross-entropy plus InfoNCE inside each group. The adapter may begin as
a copy of the generator's, which knows the types already.

Invariant: a selector that is shipped has calibration and threshold of its own weights, fitted to dev candidates.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from pydantic import Field, ValidationError
from torch import Tensor, nn
from transformers import TrainerCallback

from llmner import models
from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.errors import ConfigError, ModelError, SelectionError
from llmner.mentions import Mention
from llmner.selection.calibration import Calibration
from llmner.selection.candidates import JudgedSentence, Sheet, SheetCodec, read_candidates, unit_spans
from llmner.selection.competition import Nesting, nesting_of
from llmner.selection.loss import selection_loss
from llmner.selection.model import SelectorModel
from llmner.selection.samples import Quota, count, find_repeats, lexicon_of, samples
from llmner.selection.selector import HEAD, LocalSelector, SelectionRequest, SelectorSettings, write_settings
from llmner.selection.tuning import tune
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.units import shown, split_units
from llmner.tagset import TagSet, load_tag_set
from llmner.training.corpus import plan
from llmner.training.generator import save_adapter
from llmner.training.settings import CorpusSettings, RunSettings, changed, read_mapping
from llmner.training.trainer import Batches, fit, training_arguments

logger = logging.getLogger(__name__)


class SelectorTraining(RunSettings):
    """Settings of a selector's training.

    Attributes:
        model: Base model, see ``models.find``.
        initial_adapter: A generator's adapter of the same base that the new one begins as, of the same rank;
            ``embedded`` for the embedded generator's. A fresh adapter where it is not given.
        corpora: Annotated sentences to make samples from, besides those in ``candidates``.
        candidates: Files of a generator's candidates on sentences that it was not trained on, of the corpora's tag
            sets or bundled ones; see ``llmner candidates``.
        dev: Files of candidates on dev sentences, for calibration, threshold and measurements.
        rank: LoRA rank.
        alpha: LoRA alpha; the product is scaled by alpha / rank.
        boundary: Boundary negatives a gold mention.
        type: Type negatives a gold mention.
        spurious: Spurious negatives a sentence.
        contrastive: Weight of the contrastive loss beside cross-entropy.
        max_tokens: Sentences whose example is longer are left out.
    """

    model: str = models.EMBEDDED
    initial_adapter: str | None = None
    corpora: tuple[CorpusSettings, ...] = ()
    candidates: tuple[Path, ...] = Field(min_length=1)
    dev: tuple[Path, ...] = Field(min_length=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    evaluate_every: int = Field(default=100, gt=0)
    rank: int = Field(default=32, gt=0)
    alpha: int = Field(default=64, gt=0)
    boundary: int = Field(default=4, ge=0)
    type: int = Field(default=1, ge=0)
    spurious: int = Field(default=4, ge=0)
    contrastive: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=1000, gt=0)


def read_training(path: Path, overrides: Mapping[str, Any], *, data: Path = Path()) -> SelectorTraining:
    """Read a selector's training from YAML.

    Args:
        path: The file.
        overrides: Values that replace the file's, by key; ``steps`` and ``epochs`` replace each other.
        data: Folder that the paths of corpora and candidates are relative to.

    Raises:
        ConfigError: Not readable, not YAML, or a key that is unknown, missing or has an unusable value.
    """
    raw = changed(read_mapping(path), overrides)
    try:
        raw["corpora"] = [{**c, "train": data / c["train"]} for c in raw.get("corpora", ())]
        raw |= {key: [data / name for name in raw.get(key, ())] for key in ("candidates", "dev")}
        return SelectorTraining.model_validate(raw)
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}" for p in e.errors())
        raise ConfigError(f"{path}: {problems}", hint=f"keys: {', '.join(SelectorTraining.model_fields)}") from e
    except (TypeError, KeyError) as e:
        raise ConfigError(f"{path}: corpora have name and train, candidates and dev are lists of files: {e!r}") from e


@dataclass(frozen=True, slots=True)
class SelectionExample:
    """A sentence ready for training: its tokens, and for each candidate label and group."""

    tag_set: str
    sheet: Sheet
    positive: tuple[bool, ...]
    groups: tuple[int | None, ...]

    @property
    def fed(self) -> int:
        """Tokens that the model is fed for it, prefix not counted."""
        return self.sheet.size


@dataclass(frozen=True)
class Material:
    """What a run learns from.

    Attributes:
        corpora: Examples, and how often they are seen in an epoch.
        tag_sets: By name.
        nesting: By tag set what its annotation lets nest.
    """

    corpora: list[tuple[list[SelectionExample], float]]
    tag_sets: dict[str, TagSet]
    nesting: dict[str, tuple[Nesting, ...]]


class SelectorLoss(nn.Module):
    """The selector's loss as the Trainer wants it.

    Args:
        model: The network.
        contrastive: Weight of the contrastive loss.
    """

    def __init__(self, model: SelectorModel, contrastive: float) -> None:
        super().__init__()
        self.model = model
        self._contrastive = contrastive

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """The loss of a batch, see ``collate``."""
        logits = self.model(batch["prefix"], batch["sheets"])
        return selection_loss(logits, batch["positive"], batch["groups"], contrastive=self._contrastive)


def collate(examples: Sequence[SelectionExample], prefix: Sequence[int]) -> dict[str, Any]:
    """A batch of examples of one tag set; groups of different sentences are different."""
    numbers: dict[tuple[int, int], int] = {}
    return {
        "prefix": list(prefix),
        "sheets": [e.sheet for e in examples],
        "positive": [p for e in examples for p in e.positive],
        "groups": [
            None if g is None else numbers.setdefault((i, g), len(numbers))
            for i, e in enumerate(examples)
            for g in e.groups
        ],
    }


def train(
    settings: SelectorTraining, folder: Path, *, resume: Path | None, callbacks: Sequence[TrainerCallback] = ()
) -> None:
    """Train a selector; the last checkpoint in the folder holds it, see ``trainer.BEST``.

    Args:
        settings: What to train.
        folder: Where checkpoints go; local.
        resume: Checkpoint to go on from.
        callbacks: Told of the run's events.

    Raises:
        ModelError: The model cannot be loaded, or the loss is lost.
        ConfigError: The dev sentences are of a tag set that is not trained on.
    """
    dtype = models.default_dtype(models.default_device())
    arguments = training_arguments(settings, folder, bf16=dtype == torch.bfloat16)
    model, tokenizer = _fresh_model(settings, dtype, str(arguments.device))
    codec = SheetCodec(tokenizer)
    material = load_material(settings, codec)
    examples = [e for corpus, _ in material.corpora for e in corpus]
    at_once = settings.accumulate * arguments.world_size
    run = plan(
        examples,
        [len(corpus) for corpus, _ in material.corpora],
        [weight for _, weight in material.corpora],
        tokens=settings.batch_tokens,
        seed=settings.seed,
        count=settings.steps and settings.steps * at_once,
        epochs=settings.epochs,
    )
    prefixes = {name: codec.prefix(tag_set) for name, tag_set in material.tag_sets.items()}

    def batch(indices: Sequence[int]) -> dict[str, Any]:
        chosen = [examples[i] for i in indices]
        return collate(chosen, prefixes[chosen[0].tag_set])

    development = Development(settings, model, tokenizer, material)
    fit(
        SelectorLoss(model, settings.contrastive),
        Batches(run, batch),
        arguments,
        ship=partial(_ship, model, development),
        resume=resume,
        measure=development,
        patience=settings.patience,
        callbacks=callbacks,
    )


class Development:
    """Measures a selector in training, and fits calibration and threshold while it is at it.

    Args:
        settings: The run's.
        model: The network in training.
        tokenizer: Its tokenizer.
        material: What is trained on.

    Raises:
        ConfigError: The dev sentences are of a tag set that is not trained on.
    """

    def __init__(self, settings: SelectorTraining, model: SelectorModel, tokenizer: Any, material: Material) -> None:
        self._sentences: list[JudgedSentence] = [s for path in settings.dev for s in read_candidates(path)]
        for s in self._sentences:
            if s.tag_set not in material.tag_sets:
                known = ", ".join(material.tag_sets)
                raise ConfigError(f"dev candidates of tag set {s.tag_set}, the training is of {known}")
        self._requests = [SelectionRequest(s.text, material.tag_sets[s.tag_set], s.candidates) for s in self._sentences]
        window = model.transformer.config.max_position_embeddings
        self._selector = LocalSelector(model, tokenizer, window=window, calibration=Calibration(), fingerprint={})
        self._nesting = material.nesting
        self.tuned = SelectorSettings(base=settings.model, nesting=material.nesting)

    def __call__(self, accelerator: Accelerator) -> dict[str, float]:
        """See ``trainer.Measure``."""
        logits = []
        for answer in self._selector.logits(self._requests):
            if isinstance(answer, SelectionError):
                raise answer
            logits.append(answer)
        self.tuned, _ = tune(self._sentences, logits, base=self.tuned.base, nesting=self._nesting)
        return {"f1": self.tuned.measured["f1 of kept ones"], **self.tuned.measured}


def _ship(model: SelectorModel, development: Development, folder: Path) -> None:
    """Write the selector with the settings of its last measurement."""
    from safetensors.torch import save_file

    save_adapter(model.transformer, folder, definitions=True)
    save_file({k: v.detach().contiguous().cpu() for k, v in model.head.state_dict().items()}, folder / HEAD)
    write_settings(folder, development.tuned)


def load_material(settings: SelectorTraining, codec: SheetCodec) -> Material:
    """Read sentences and candidates, and make the samples; a sentence with candidates is not taken without them."""
    tag_sets = {t.name: t for t in (load_tag_set(c.tag_set) for c in settings.corpora)}
    found: dict[tuple[str, str], tuple[AnnotatedSentence, list[Mention]]] = {}  # by tag set and text
    for path in settings.candidates:
        for judged in read_candidates(path):
            if judged.tag_set not in tag_sets:
                tag_sets[judged.tag_set] = load_tag_set(judged.tag_set)
            sentence = AnnotatedSentence(judged.text, judged.gold)
            found.setdefault((judged.tag_set, judged.text), (sentence, []))[1].extend(judged.candidates)
    read: list[tuple[str, float, list[AnnotatedSentence]]] = []
    for corpus in settings.corpora:
        tag_set = load_tag_set(corpus.tag_set)
        sentences = read_annotations(corpus.train, types=[t.name for t in tag_set.types])
        read.append((tag_set.name, corpus.weight, [s for s in sentences if (tag_set.name, s.text) not in found]))
    read += [(name, 1.0, [s for (own, _), (s, _) in found.items() if own == name]) for name in tag_sets]

    everything = {name: [s for own, _, sentences in read if own == name for s in sentences] for name in tag_sets}
    nesting = {
        name: nesting_of([[(m.start, m.end, m.type) for m in s.mentions] for s in sentences])
        for name, sentences in everything.items()
    }
    mistakes = {key: candidates for key, (_, candidates) in found.items()}
    makers = {
        name: _Maker(settings, codec, tag_sets[name], sentences, mistakes) for name, sentences in everything.items()
    }
    return Material([(makers[name].examples(s), weight) for name, weight, s in read if s], tag_sets, nesting)


class _Maker:
    """Makes the examples of one tag set.

    Args:
        settings: The run's.
        codec: For the model's tokenizer.
        tag_set: The types.
        sentences: All its sentences; what is annotated in one of them is looked for in the others.
        mistakes: What a generator found, by tag set and text.
    """

    def __init__(
        self,
        settings: SelectorTraining,
        codec: SheetCodec,
        tag_set: TagSet,
        sentences: Sequence[AnnotatedSentence],
        mistakes: Mapping[tuple[str, str], Sequence[Mention]],
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._tag_set = tag_set
        self._mistakes = mistakes
        self._lexicon = lexicon_of(
            (_units(s.text), unit_spans(codec.source(s.text), s.mentions, tag_set)) for s in sentences
        )

    def examples(self, sentences: Sequence[AnnotatedSentence]) -> list[SelectionExample]:
        """The examples of sentences; those without a candidate, or too long, are left out and counted."""
        settings, tag_set = self._settings, self._tag_set
        quota = Quota(settings.boundary, settings.type, settings.spurious)
        result: list[SelectionExample] = []
        counted: Counter[str] = Counter()
        for sentence in sentences:
            source = self._codec.source(sentence.text)
            gold = set(unit_spans(source, sentence.mentions, tag_set))
            found = self._mistakes.get((tag_set.name, sentence.text), ())
            made = samples(
                source.blank,
                gold,
                len(tag_set.types),
                mistakes=unit_spans(source, found, tag_set),
                repeats=find_repeats(_units(sentence.text), gold, self._lexicon),
                quota=quota,
                seed=f"{settings.seed} {sentence.text}",
            )
            sheet = self._codec.sheet(source, tag_set, [s.span for s in made])
            if not made or sheet.size > settings.max_tokens:
                counted["sentences left out"] += 1
                continue
            counted.update(count(made))
            positive, groups = tuple(s.kind == "gold" for s in made), tuple(s.group for s in made)
            result.append(SelectionExample(tag_set.name, sheet, positive, groups))
        logger.info("%s: %d sentences; %s", tag_set.name, len(result), dict(sorted(counted.items())))
        return result


def _units(text: str) -> list[str]:
    return [u.strip() for u in split_units(shown(text))]


def _fresh_model(settings: SelectorTraining, dtype: torch.dtype, device: str) -> tuple[SelectorModel, Any]:
    """The base model with an adapter to train, in float32, and its tokenizer."""
    from peft import LoraConfig, get_peft_model

    base = models.find(settings.model)
    files = models.ModelFiles(base.name, base.base, None)
    transformer, tokenizer = models.load(files, dtype=dtype, device=device, attention=IMPLEMENTATION, headless=True)
    torch.manual_seed(settings.seed)
    lora = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear")
    adapted = get_peft_model(transformer, lora)
    if settings.initial_adapter:
        _copy_adapter(models.find(settings.initial_adapter).adapter or settings.initial_adapter, adapted)
    for p in adapted.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    return SelectorModel(adapted, transformer.config.hidden_size).to(device), tokenizer


def _copy_adapter(adapter: str, adapted: Any) -> None:
    """Begin as a generator's adapter."""
    from peft import set_peft_model_state_dict
    from peft.utils import load_peft_weights

    # A causal model calls its transformer ``model``; here it stands alone.
    stored = {k.replace(".model.model.", ".model."): v for k, v in load_peft_weights(adapter, device="cpu").items()}
    try:
        mismatch = set_peft_model_state_dict(adapted, stored)
    except RuntimeError as e:  # other shapes
        raise ModelError(f"{adapter}: not an adapter of this model and rank: {e}") from e
    missing = [k for k in mismatch.missing_keys if "lora_" in k]
    if mismatch.unexpected_keys or missing:
        raise ModelError(f"{adapter}: not an adapter of this model: {[*mismatch.unexpected_keys, *missing][:3]}")
