"""What a generator is trained to do, as losses over packed batches.

``constrained``: cross-entropy over the tokens the grammar allows, at the places where it leaves a choice; the
output layer is never multiplied out. ``full``: over the whole vocabulary, at every token of the answers.

Invariant: a loss is summed over its places and divided by the sentences that a full batch of the run holds, so one
weighs the same in a full batch and in one of the few that ask for a rare combination of types.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from llmner.tagging.attention import SharedPrefix

_CHUNK = 512  # places whose logits over the whole vocabulary are held at once


class GeneratorLoss(nn.Module):
    """The loss of a batch, see ``corpus.collate``.

    The sentences of a batch share one prompt prefix, which is computed once and gets the gradients of all of them.

    Args:
        model: A causal model with a LoRA adapter, by peft; its attention is ``attention.IMPLEMENTATION``.
        kind: Which loss.
        sentences: Those of a full batch of the run, on average.
    """

    def __init__(self, model: Any, kind: Literal["constrained", "full"], sentences: float) -> None:
        super().__init__()
        self.model = model
        self._kind = kind
        self._sentences = sentences
        self._softcap: float | None = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Return the loss, a scalar."""
        base = self.model.get_base_model()
        tokens = batch["tokens"]
        sequences = SharedPrefix(batch["prefix"], batch["lengths"], tokens.device)
        decoder = base.get_decoder()
        hidden = decoder(
            input_ids=tokens, position_ids=sequences.positions, use_cache=False, sequences=sequences
        ).last_hidden_state[0]
        embedding = base.get_output_embeddings().weight
        if self._kind == "full":
            total = full_loss(hidden[batch["answer_places"]], embedding, batch["answers"], self._softcap)
        else:
            total = constrained_loss(
                hidden[batch["places"]],
                embedding[batch["words"]],
                batch["allowed"],
                batch["chosen"],
                self._softcap,
            )
        return total / self._sentences


def constrained_loss(
    hidden: Tensor, words: Tensor, allowed: Tensor, chosen: Tensor, softcap: float | None = None
) -> Tensor:
    """Cross-entropy over the allowed tokens, summed over places.

    Args:
        hidden: Last hidden states, ``(places, width)``.
        words: Rows of the output embedding, ``(words, width)``.
        allowed: For each place the allowed words, ``(places, most)``; -1 where there are fewer.
        chosen: For each place the index of the right one, ``(places,)``.
        softcap: The model's cap of logits.
    """
    with torch.autocast(hidden.device.type, enabled=False):  # as the engine does: in float32
        logits = _capped(hidden.float() @ words.float().T, softcap)
    logits = logits.gather(1, allowed.clamp(min=0)).masked_fill(allowed < 0, float("-inf"))
    return cross_entropy(logits, chosen, reduction="sum")


def full_loss(hidden: Tensor, embedding: Tensor, answers: Tensor, softcap: float | None = None) -> Tensor:
    """Cross-entropy over the whole vocabulary, summed over places; logits are computed again for the gradient.

    Args:
        hidden: Last hidden states before each token of the answers, ``(places, width)``.
        embedding: Output embedding, ``(vocabulary, width)``.
        answers: The tokens, ``(places,)``.
        softcap: The model's cap of logits.
    """

    def part(hidden: Tensor, answers: Tensor) -> Tensor:
        return cross_entropy(_capped((hidden @ embedding.T).float(), softcap), answers, reduction="sum")

    parts = zip(hidden.split(_CHUNK), answers.split(_CHUNK), strict=True)
    return torch.stack([checkpoint(part, h, a, use_reentrant=False) for h, a in parts]).sum()


def _capped(logits: Tensor, softcap: float | None) -> Tensor:
    return torch.tanh(logits / softcap) * softcap if softcap else logits
