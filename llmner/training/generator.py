"""Trains a generator's LoRA adapter on annotated sentences.

Invariant: the adapter that is shipped says with which prompt it was trained, so that it is decoded with the same.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from llmner.errors import ConfigError
from llmner.models import loading
from llmner.models.registry import PROMPT_FILE, adapter_of, base_of
from llmner.models.weights import fetched
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.codec import Codec
from llmner.tagging.prompts import Form
from llmner.tagset import load_tag_set
from llmner.training.corpus import Example, balanced, collate
from llmner.training.development import measure, read_development
from llmner.training.examples import read_corpora
from llmner.training.losses import GeneratorLoss
from llmner.training.settings import GeneratorTraining
from llmner.training.trainer import fit, run_batches, training_arguments

logger = logging.getLogger(__name__)

# Every linear layer of the decoders of Gemma, Llama, Qwen and GLM-4, and none of what else a model sees or hears with.
_TARGETS = "all-linear"
_NOT_TEXT = r".*\b(vision_tower|vision_model|visual|multi_modal_projector|audio_tower)\b.*"


def train(
    settings: GeneratorTraining, folder: Path, *, resume: Path | None, callbacks: Sequence[TrainerCallback] = ()
) -> None:
    """Train an adapter; the last checkpoint in the folder holds it, see ``trainer.BEST``.

    Args:
        settings: What to train.
        folder: Where checkpoints go; local.
        resume: Checkpoint to go on from.
        callbacks: Told of the run's events.

    Raises:
        ModelError: The model cannot be loaded, or the loss is lost.
    """
    dtype = loading.number_type("auto", loading.default_device())
    arguments = training_arguments(settings, folder, bf16=dtype == torch.bfloat16)
    model, tokenizer = loading.load(
        base_of(settings.model),
        dtype=dtype,
        device=str(arguments.device),
        attention=IMPLEMENTATION,
        quantised=settings.quantised,
    )
    codec = Codec(tokenizer, settings.form)
    corpora = read_corpora(settings, codec)
    weights = _weights(settings, corpora.examples)
    prefixes = {digest: codec.prefix(tag_set) for digest, tag_set in corpora.asked.items()}

    def batch(chosen: Sequence[Example]) -> dict[str, Any]:
        arrays = collate(chosen, prefixes[chosen[0].tag_set])
        return {k: torch.from_numpy(v) if hasattr(v, "shape") else v for k, v in arrays.items()}

    model = _with_adapter(model, settings)
    development = read_development(settings) if settings.evaluate_every else []
    fit(
        GeneratorLoss(model, settings.loss, _sentences_a_batch(settings, corpora.examples, weights)),
        run_batches(settings, corpora.examples, weights, batch),
        arguments,
        ship=partial(save_adapter, model, form=settings.form),
        resume=resume,
        measure=partial(measure, model.get_base_model(), tokenizer, development, form=settings.form)
        if development
        else None,
        patience=settings.patience,
        average=settings.average,
        callbacks=callbacks,
    )


def _weights(settings: GeneratorTraining, corpora: Sequence[Sequence[Example]]) -> list[float]:
    """Return how often each corpus is seen in an epoch."""
    weights = [c.weight for c in settings.trained_on]
    tokens = [sum(e.fed for e in examples) for examples in corpora]
    if settings.balance_languages:
        weights = balanced(weights, tokens, [load_tag_set(c.tag_set).lang for c in settings.trained_on])
    whole = sum(w * t for w, t in zip(weights, tokens, strict=True))
    for c, n, t, w in zip(settings.trained_on, map(len, corpora), tokens, weights, strict=True):
        share = 100 * w * t / whole
        logger.info("%s: %d examples, %d tokens, %.2f times an epoch, %.1f %% of it", c.name, n, t, w, share)
    return weights


def _sentences_a_batch(
    settings: GeneratorTraining, corpora: Sequence[Sequence[Example]], weights: Sequence[float]
) -> float:
    """Return how many sentences a full batch has, on average; the same however long the run is."""
    sentences = sum(w * len(examples) for w, examples in zip(weights, corpora, strict=True))
    tokens = sum(w * e.fed for w, examples in zip(weights, corpora, strict=True) for e in examples)
    return settings.batch_tokens * sentences / tokens


def save_adapter(model: Any, folder: Path, form: Form) -> None:
    """Save the adapter in bfloat16, in peft's format, and how it was trained to be asked."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().to(torch.bfloat16).contiguous().cpu() for k, v in get_peft_model_state_dict(model).items()}
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = model.peft_config["default"]
    settings.inference_mode = True
    settings.base_model_name_or_path = None
    settings.save_pretrained(folder)
    settings.inference_mode = False
    (folder / PROMPT_FILE).write_text(json.dumps(asdict(form)), encoding="utf-8")


def widened(model: Any, rank: int) -> Any:
    """Return a model whose adapter has a rank; it computes what it did before.

    New rows of A are random and new columns of B are zero, so that only training makes use of them.

    Args:
        model: A peft model with one adapter; changed in place.
        rank: The rank, at least the adapter's.

    Raises:
        ConfigError: The adapter's rank is higher.
    """
    from peft.tuners.lora import LoraLayer

    config = model.peft_config["default"]
    if config.r > rank:
        raise ConfigError(f"the initial adapter has rank {config.r}", hint=f"set rank to {config.r} or more")
    for layer in model.modules():
        if isinstance(layer, LoraLayer) and config.r < rank:
            for part, matrices in (("A", layer.lora_A), ("B", layer.lora_B)):
                old = matrices["default"].weight
                inputs, outputs = (old.shape[1], rank) if part == "A" else (rank, old.shape[0])
                wide = nn.Linear(inputs, outputs, bias=False)
                with torch.no_grad():
                    if part == "A":
                        wide.weight[: config.r] = old
                    else:
                        wide.weight.zero_()
                        wide.weight[:, : config.r] = old
                matrices["default"] = wide.to(old.device, old.dtype)
            layer.r["default"] = rank
            layer.lora_alpha["default"] *= rank / config.r
    config.lora_alpha = config.lora_alpha * rank // config.r
    config.r = rank
    return model


def _with_adapter(model: Any, settings: GeneratorTraining) -> Any:
    """Return a base model with an adapter to train: a fresh one, or the one to go on from. Its weights are float32."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    torch.manual_seed(settings.seed)
    initial = adapter_of(settings.initial_adapter) if settings.initial_adapter else None
    if initial:
        model = PeftModel.from_pretrained(model, str(fetched(initial)), is_trainable=True)
        model = widened(model, settings.rank)
    else:
        lora = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=_TARGETS,
            exclude_modules=None if model.config.get_text_config() is model.config else _NOT_TEXT,
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(model, lora)
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    return model
