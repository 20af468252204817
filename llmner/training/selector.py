"""Trains a selector: a LoRA adapter and a head that tell right candidates from wrong ones.

Samples come from annotated sentences and from a generator's candidates on sentences that it was not trained on; the
loss is binary cross-entropy plus InfoNCE inside each group. The adapter may begin as a copy of the generator's, which
knows the types already.

Invariant: a selector that is shipped has calibration and threshold of its own weights, fitted to dev candidates.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import TrainerCallback

from llmner.errors import ConfigError, ModelError, SelectionError
from llmner.models import loading
from llmner.models.registry import adapter_of, base_of, prompt_form
from llmner.models.weights import fetched
from llmner.selection.candidates import SheetCodec, read_candidates
from llmner.selection.loss import selection_loss
from llmner.selection.model import SelectorModel
from llmner.selection.reading import HEAD, ReadingSelector, reading_evidence
from llmner.selection.selector import SelectionRequest, SelectorSettings, write_settings
from llmner.selection.tuning import tune
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.prompts import DEFAULT_FORM, Form
from llmner.training.generator import save_adapter
from llmner.training.selection_corpus import Material, SelectionExample, SelectorTraining, collate, load_material
from llmner.training.trainer import fit, run_batches, training_arguments


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
        """Return the loss of a batch, see ``collate``."""
        logits = self.model(batch["prefix"], batch["sheets"])
        return selection_loss(logits, batch["positive"], batch["groups"], contrastive=self._contrastive)


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
    dtype = loading.number_type("auto", loading.default_device())
    arguments = training_arguments(settings, folder, bf16=dtype == torch.bfloat16)
    initial = adapter_of(settings.initial_adapter) if settings.initial_adapter else None
    form = prompt_form(initial) if initial else DEFAULT_FORM
    model, tokenizer = _fresh_model(settings, initial, dtype, str(arguments.device))
    codec = SheetCodec(tokenizer, form)
    material = load_material(settings, codec)
    prefixes = {name: codec.prefix(tag_set) for name, tag_set in material.tag_sets.items()}
    corpora, weights = [c for c, _ in material.corpora], [w for _, w in material.corpora]

    def batch(chosen: Sequence[SelectionExample]) -> dict[str, Any]:
        return collate(chosen, prefixes[chosen[0].tag_set])

    development = Development(settings, model, tokenizer, form, material)
    fit(
        SelectorLoss(model, settings.contrastive),
        run_batches(settings, corpora, weights, batch),
        arguments,
        ship=partial(_ship, model, form, development),
        resume=resume,
        measure=development,
        patience=settings.patience,
        average=settings.average,
        callbacks=callbacks,
    )


class Development:
    """Measures a selector in training, and fits calibration and threshold while it is at it.

    Args:
        settings: The run's.
        model: The network in training.
        tokenizer: Its tokenizer.
        form: How it is asked.
        material: What is trained on.

    Raises:
        ConfigError: The dev sentences are of a tag set that is not trained on.
    """

    def __init__(
        self, settings: SelectorTraining, model: SelectorModel, tokenizer: Any, form: Form, material: Material
    ) -> None:
        self._sentences = [s for path in settings.dev for s in read_candidates(path)]
        for s in self._sentences:
            if s.tag_set not in material.tag_sets:
                known = ", ".join(material.tag_sets)
                raise ConfigError(f"dev candidates of tag set {s.tag_set}, the training is of {known}")
        self._requests = [SelectionRequest(s.text, material.tag_sets[s.tag_set], s.candidates) for s in self._sentences]
        window = model.transformer.config.max_position_embeddings
        self.tuned = SelectorSettings(base=settings.model, nesting=material.nesting)
        self._selector = ReadingSelector(
            model, tokenizer, form=form, window=window, settings=self.tuned, fingerprint={}
        )

    def __call__(self, accelerator: Accelerator) -> dict[str, float]:
        """See ``trainer.Measure``; means over tag sets."""
        evidence = []
        for sentence, answer in zip(self._sentences, self._selector.logits(self._requests), strict=True):
            if isinstance(answer, SelectionError):
                raise answer
            evidence.append(reading_evidence(answer, sentence.candidates))
        self.tuned = tune(self._sentences, evidence, self.tuned)
        measured = list(self.tuned.measured.values())
        names = {"f1": "f1 of kept ones", "f1_all": "f1 of all candidates", "auc": "auc", "ece": "calibration error"}
        return {short: fmean(m[name] for m in measured) for short, name in names.items()}


def _ship(model: SelectorModel, form: Form, development: Development, folder: Path) -> None:
    """Write the selector with the settings of its last measurement."""
    from safetensors.torch import save_file

    save_adapter(model.transformer, folder, form)
    save_file({k: v.detach().contiguous().cpu() for k, v in model.head.state_dict().items()}, folder / HEAD)
    write_settings(folder, development.tuned)


def _fresh_model(
    settings: SelectorTraining, initial: str | None, dtype: torch.dtype, device: str
) -> tuple[SelectorModel, Any]:
    """Return the base model with an adapter to train, in float32, and its tokenizer."""
    from peft import LoraConfig, get_peft_model

    base = base_of(settings.model)
    transformer, tokenizer = loading.load(base, dtype=dtype, device=device, attention=IMPLEMENTATION, headless=True)
    torch.manual_seed(settings.seed)
    lora = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear")
    adapted = get_peft_model(transformer, lora)
    if initial:
        _copy_adapter(initial, adapted)
    for p in adapted.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    return SelectorModel(adapted, transformer.config.hidden_size).to(device), tokenizer


def _copy_adapter(adapter: str, adapted: Any) -> None:
    """Begin as a generator's adapter."""
    from peft import set_peft_model_state_dict
    from peft.utils import load_peft_weights

    # A causal model calls its transformer ``model``; here it stands alone.
    stored = {
        k.replace(".model.model.", ".model."): v
        for k, v in load_peft_weights(str(fetched(adapter)), device="cpu").items()
    }
    try:
        mismatch = set_peft_model_state_dict(adapted, stored)
    except RuntimeError as e:  # other shapes
        raise ModelError(f"{adapter}: not an adapter of this model and rank: {e}") from e
    missing = [k for k in mismatch.missing_keys if "lora_" in k]
    if mismatch.unexpected_keys or missing:
        raise ModelError(f"{adapter}: not an adapter of this model: {[*mismatch.unexpected_keys, *missing][:3]}")
