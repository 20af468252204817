"""Trains a generator's LoRA adapter on annotated sentences.

The loss is cross-entropy over the tokens the grammar allows, at the places where it leaves a choice
(``constrained``). The sentences of a batch share one prompt prefix, which is computed once and gets the
gradients of all of them. No Ray here: the same loop runs on a bare machine.

Invariant: a run that was stopped and started again walks through the same batches with the same learning
rates as one that was not.
"""

import logging
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from llmner import models
from llmner.annotations import read_annotations
from llmner.tagging.attention import IMPLEMENTATION, SharedPrefix
from llmner.tagging.codec import Codec
from llmner.tagset import TagSet, load_tag_set
from llmner.training.corpus import Example, endless_batches, example, writable

logger = logging.getLogger(__name__)

# Every linear layer of the decoders of Gemma, Llama, Qwen and GLM-4.
TARGETS = "all-linear"


class CorpusConfig(BaseModel):
    """A corpus to train on.

    Attributes:
        train: JSON lines of annotated sentences.
        tag_set: Name of its tag set.
        share: Part of its sentences to use, drawn by the seed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: Path
    tag_set: str
    share: float = Field(1.0, gt=0, le=1)


class GeneratorTraining(BaseModel):
    """Settings of a training run.

    Attributes:
        model: Base model, see ``models.find``.
        corpora: What to train on, all mixed.
        output: Folder of checkpoints and the adapter.
        rank: LoRA rank.
        alpha: LoRA alpha; the product is scaled by alpha / rank.
        learning_rate: Highest learning rate, AdamW.
        steps: Batches in all; the learning rate falls to zero linearly at the last.
        warmup: Batches until the learning rate is at its highest.
        batch_tokens: Tokens a batch, prefix not counted.
        max_tokens: Sentences whose example is longer are left out.
        seed: Of initial weights, shuffles and samples.
        checkpoint_every: Batches between checkpoints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = models.EMBEDDED
    corpora: tuple[CorpusConfig, ...] = Field(min_length=1)
    output: Path
    rank: int = Field(32, gt=0)
    alpha: int = Field(64, gt=0)
    learning_rate: float = Field(8e-4, gt=0)
    steps: int = Field(gt=0)
    warmup: int = Field(40, ge=0)
    batch_tokens: int = Field(1500, gt=0)
    max_tokens: int = Field(600, gt=0)
    seed: int = 13
    checkpoint_every: int = Field(100, gt=0)


@dataclass(frozen=True)
class _Data:
    examples: list[Example]
    tag_sets: dict[str, TagSet]


def train(config: GeneratorTraining) -> Path:
    """Train an adapter, going on from the last checkpoint in the output folder.

    Returns:
        The adapter's folder, in peft's format (safetensors).
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    device = models.default_device()
    base = models.find(config.model)
    model, tokenizer = models.load(
        models.ModelFiles(base.name, base.base, None),
        dtype=models.default_dtype(device),
        device=device,
        attention=IMPLEMENTATION,
    )
    codec = Codec(tokenizer)
    data = _load_data(config, codec)
    model = get_peft_model(
        model, LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=TARGETS, task_type="CAUSAL_LM")
    )
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        p.data = p.data.float()
    optimizer = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0, betas=(0.9, 0.99))
    first = _resume(config.output, model, optimizer)
    logger.info("%d examples, %d trained weights, from batch %d of %d",
                len(data.examples), sum(p.numel() for p in trained), first, config.steps)  # fmt: skip

    model.train()
    stream = endless_batches(data.examples, tokens=config.batch_tokens, seed=config.seed, skip=first)
    started, fed, losses = time.monotonic(), 0, []
    for step in range(first, config.steps):
        batch = [data.examples[i] for i in next(stream)]
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        loss = _loss(model, codec, data.tag_sets[batch[0].tag_set], batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        fed += sum(len(e.tokens) for e in batch)
        if (step + 1) % 10 == 0:
            seconds = time.monotonic() - started
            left = seconds / (step + 1 - first) * (config.steps - step - 1)
            logger.info("batch %d of %d: loss %.3f, %.0f tokens/s, %.0f min left",
                        step + 1, config.steps, sum(losses) / len(losses), fed / seconds, left / 60)  # fmt: skip
            losses.clear()
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            _checkpoint(config.output, model, optimizer, step + 1)
    adapter = config.output / "adapter"
    save_adapter(model, adapter)
    return adapter


def save_adapter(model: Any, folder: Path) -> None:
    """Save the adapter in bfloat16, in peft's format."""
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


def constrained_loss(hidden: Tensor, embedding: Tensor, allowed: list[tuple[int, ...]], chosen: list[int]) -> Tensor:
    """Cross-entropy over the allowed tokens, summed over decisions.

    Args:
        hidden: Last hidden states at the decisions, ``(decisions, width)``.
        embedding: Output embedding, ``(vocabulary, width)``.
        allowed: For each decision its tokens.
        chosen: For each decision the index of the right one.
    """
    ids = sorted({t for tokens in allowed for t in tokens})
    place = {t: i for i, t in enumerate(ids)}
    most = max(len(tokens) for tokens in allowed)
    columns = torch.tensor([[place[t] for t in tokens] + [-1] * (most - len(tokens)) for tokens in allowed])
    columns = columns.to(hidden.device)
    logits = hidden.float() @ embedding[torch.tensor(ids, device=hidden.device)].float().T
    logits = logits.gather(1, columns.clamp(min=0)).masked_fill(columns < 0, float("-inf"))
    return torch.nn.functional.cross_entropy(logits, torch.tensor(chosen, device=hidden.device), reduction="sum")


def _loss(model: Any, codec: Codec, tag_set: TagSet, batch: list[Example]) -> Tensor:
    prefix = codec.prefix(tag_set)
    lengths = [len(e.tokens) for e in batch]
    tokens = torch.tensor([[*prefix, *(t for e in batch for t in e.tokens)]], device=model.device)
    sequences = SharedPrefix(len(prefix), lengths, model.device)
    decoder = model.get_base_model().get_decoder()
    hidden = decoder(
        input_ids=tokens, position_ids=sequences.positions, use_cache=False, sequences=sequences
    ).last_hidden_state[0]
    places, allowed, chosen, start = [], [], [], len(prefix)
    for e, n in zip(batch, lengths, strict=True):
        for d in e.decisions:
            places.append(start + d.position)
            allowed.append(d.allowed)
            chosen.append(d.chosen)
        start += n
    embedding = model.get_base_model().get_output_embeddings().weight
    return constrained_loss(hidden[torch.tensor(places, device=hidden.device)], embedding, allowed, chosen) / len(batch)


def _load_data(config: GeneratorTraining, codec: Codec) -> _Data:
    examples: list[Example] = []
    tag_sets: dict[str, TagSet] = {}
    for corpus in config.corpora:
        tag_set = tag_sets.setdefault(corpus.tag_set, load_tag_set(corpus.tag_set))
        sentences = read_annotations(corpus.train, types=[t.name for t in tag_set.types])
        rng = random.Random(config.seed)
        sentences = rng.sample(sentences, round(len(sentences) * corpus.share))
        left_out: Counter = Counter()
        for sentence in sentences:
            source = codec.source(sentence.text)
            spans, not_written = writable(sentence, source, tag_set)
            left_out += not_written
            e = example(corpus.tag_set, source, spans, codec.vocabulary(tag_set), codec.suffix)
            if len(e.tokens) <= config.max_tokens:
                examples.append(e)
            else:
                left_out["too long"] += 1
        logger.info("%s: %d sentences; left out: %s", corpus.train, len(sentences), dict(left_out))
    return _Data(examples, tag_sets)


def _schedule(step: int, config: GeneratorTraining) -> float:
    """Learning rate as a part of the highest: linear up, then linear down to zero."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    return (config.steps - step) / max(1, config.steps - config.warmup)


def _checkpoint(output: Path, model: Any, optimizer: torch.optim.Optimizer, step: int) -> None:
    from peft import get_peft_model_state_dict

    output.mkdir(parents=True, exist_ok=True)
    part = output / "checkpoint.pt.part"
    torch.save({"step": step, "adapter": get_peft_model_state_dict(model), "optimizer": optimizer.state_dict()}, part)
    os.replace(part, output / "checkpoint.pt")
    save_adapter(model, output / "adapter")


def _resume(output: Path, model: Any, optimizer: torch.optim.Optimizer) -> int:
    from peft import set_peft_model_state_dict

    file = output / "checkpoint.pt"
    if not file.exists():
        return 0
    state = torch.load(file, map_location=model.device, weights_only=True)
    set_peft_model_state_dict(model, state["adapter"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
