"""Trains a generator's LoRA adapter on annotated sentences.

Invariant: the adapter that is shipped says with which prompt it was trained, so that it is decoded with the same.
"""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from llmner import models
from llmner.annotations import read_annotations
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.codec import Codec
from llmner.tagging.prompts import Form
from llmner.tagset import TagSet, load_tag_set
from llmner.training.corpus import Example, balanced, collate, example, writable
from llmner.training.development import measure, read_development
from llmner.training.losses import GeneratorLoss
from llmner.training.settings import CorpusSettings, GeneratorTraining
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
    dtype = models.default_dtype(models.default_device())
    arguments = training_arguments(settings, folder, bf16=dtype == torch.bfloat16)
    base = models.find(settings.model)
    model, tokenizer = models.load(
        models.ModelFiles(base.name, base.base, None),
        dtype=dtype,
        device=str(arguments.device),
        attention=IMPLEMENTATION,
        quantised=settings.quantised,
    )
    codec = Codec(tokenizer, settings.form)
    tag_sets = {c.tag_set: load_tag_set(c.tag_set) for c in settings.corpora}
    corpora = [_examples(c, tag_sets[c.tag_set], codec, settings.max_tokens) for c in settings.trained_on]
    sizes, tokens = [len(c) for c in corpora], [sum(e.fed for e in c) for c in corpora]
    weights = [c.weight for c in settings.trained_on]
    if settings.balance_languages:
        weights = balanced(weights, tokens, [tag_sets[c.tag_set].lang for c in settings.trained_on])
    for c, n, t, w in zip(settings.trained_on, sizes, tokens, weights, strict=True):
        logger.info("%s: %d examples, %d tokens, seen %.2f times an epoch", c.name, n, t, w)
    prefixes = {name: codec.prefix(tag_set) for name, tag_set in tag_sets.items()}

    def batch(chosen: Sequence[Example]) -> dict[str, Any]:
        arrays = collate(chosen, prefixes[chosen[0].tag_set])
        return {k: torch.from_numpy(v) if hasattr(v, "shape") else v for k, v in arrays.items()}

    model = _with_adapter(model, settings)
    development = read_development(settings, tag_sets) if settings.evaluate_every else []
    fit(
        GeneratorLoss(model, settings.loss),
        run_batches(settings, corpora, weights, batch, processes=arguments.world_size),
        arguments,
        ship=partial(save_adapter, model, form=settings.form),
        resume=resume,
        measure=partial(measure, model.get_base_model(), tokenizer, development, form=settings.form)
        if development
        else None,
        patience=settings.patience,
        callbacks=callbacks,
    )


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
    (folder / models.PROMPT_FILE).write_text(json.dumps(asdict(form)), encoding="utf-8")


def _with_adapter(model: Any, settings: GeneratorTraining) -> Any:
    """A base model with an adapter to train: a fresh one, or the one to go on from. Its weights are float32."""
    from peft import LoraConfig, PeftModel, get_peft_model

    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.initial_adapter:
        model = PeftModel.from_pretrained(model, settings.initial_adapter, is_trainable=True)
    else:
        torch.manual_seed(settings.seed)
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


def _examples(corpus: CorpusSettings, tag_set: TagSet, codec: Codec, max_tokens: int) -> list[Example]:
    result = []
    left_out: Counter = Counter()
    for sentence in read_annotations(corpus.train, types=[t.name for t in tag_set.types]):
        source = codec.source(sentence.text)
        spans, not_written = writable(sentence, source, tag_set, one_line=codec.layout.one_line)
        left_out += not_written
        prompt, target = [*source.tokens, *codec.suffix], codec.write(source, spans, tag_set)
        e = example(corpus.tag_set, prompt, target, codec.cursor(source, tag_set))
        if e.fed <= max_tokens:
            result.append(e)
        else:
            left_out["too long"] += 1
    logger.info("%s: %d sentences; left out: %s", corpus.train, len(result), dict(left_out))
    return result
