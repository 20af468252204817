"""Strict F1 of a generator in training on development sentences, corpus by corpus.

Invariant: it is what the engine would reach with the weights as they are; all processes of a run share the work and
get the same figures.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from accelerate import Accelerator

from llmner.annotations import AnnotatedSentence
from llmner.evaluation.evaluate import evaluate
from llmner.evaluation.scoring import Score
from llmner.tagging.local_engine import LocalEngine
from llmner.tagging.prompts import Form
from llmner.tagset import TagSet
from llmner.training.examples import asked_tag_set, read_sentences
from llmner.training.settings import GeneratorTraining


@dataclass(frozen=True)
class Development:
    """Development sentences of a corpus.

    Attributes:
        name: The corpus's.
        tag_set: The types that it is asked for.
        sentences: What to measure on.
        decides: Whether the corpus counts for what is best; one that is left out of training does not.
    """

    name: str
    tag_set: TagSet
    sentences: Sequence[AnnotatedSentence]
    decides: bool


def read_development(settings: GeneratorTraining) -> list[Development]:
    """Read the development sentences of a run's corpora."""
    result = []
    for corpus in settings.corpora:
        if corpus.dev is None:
            continue
        sentences = read_sentences(corpus, corpus.dev)
        count = min(len(sentences), settings.dev_sentences)
        picked = random.Random(settings.seed).sample(sentences, count)
        result.append(Development(corpus.name, asked_tag_set(corpus), picked, corpus.name not in settings.leave_out))
    return result


def measure(
    model: Any, tokenizer: Any, corpora: Sequence[Development], accelerator: Accelerator, *, form: Form
) -> dict[str, float]:
    """Strict micro-F1 of each corpus, and as ``f1`` its mean over those that decide.

    Args:
        model: The causal model with its adapter in place, in evaluation mode.
        tokenizer: Its tokenizer.
        corpora: What to measure on.
        accelerator: Tells which part of the sentences is this process's, and adds the counts up.
        form: How the model is asked.
    """
    engine = LocalEngine(model, tokenizer, fingerprint={}, form=form)
    counts = []
    for corpus in corpora:
        mine = corpus.sentences[accelerator.process_index :: accelerator.num_processes]
        micro = evaluate(engine, mine, corpus.tag_set, corpus=corpus.name).scores.micro
        counts.append([micro.predicted, micro.right, micro.gold, micro.found])
    total = accelerator.reduce(torch.tensor(counts, device=accelerator.device), reduction="sum")
    f1 = {c.name: Score(*row).f1 for c, row in zip(corpora, total.tolist(), strict=True)}
    return {"f1": fmean(f1[c.name] for c in corpora if c.decides), **{f"f1_{name}": v for name, v in f1.items()}}
