"""The selector's network: a transformer with a LoRA adapter, and a linear head on a candidate's last token.

All candidates of many sentences of one tag set go through in one pass: the prompt's prefix once, each sentence
once, then a few tokens a candidate (``attention.SharedSentences``). Training and inference take the same path.

Invariant: the logit of a candidate does not depend on what is judged beside it (up to the rounding of matrix
products).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from llmner.selection.candidates import Sheet
from llmner.tagging.attention import SharedSentences


class SelectorModel(nn.Module):
    """Logits of candidates.

    Args:
        transformer: A transformers model without a language model head, decoder or encoder, with or without a peft
            adapter, whose attention is ``attention.IMPLEMENTATION``.
        width: Width of its hidden states.
    """

    def __init__(self, transformer: Any, width: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.head = nn.Linear(width, 1, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        flags = [m.is_causal for m in transformer.modules() if hasattr(m, "is_causal")]
        self._causal = all(flags)  # transformers says it at each attention layer

    def forward(self, prefix: Sequence[int], sheets: Sequence[Sheet]) -> Tensor:
        """Judge candidates.

        Args:
            prefix: Tokens of the tag set's prompt up to the sentence.
            sheets: Sentences of that tag set with their candidates.

        Returns:
            A logit for each candidate, ``(candidates,)``, sheet after sheet.
        """
        device = self.head.weight.device
        tokens, judged = list(prefix), []
        for sheet in sheets:
            tokens += sheet.sentence
            for branch in sheet.branches:
                tokens += branch
                judged.append(len(tokens) - 1)
        sequences = SharedSentences(
            len(prefix),
            [len(s.sentence) for s in sheets],
            [[len(b) for b in s.branches] for s in sheets],
            causal=self._causal,
            device=device,
        )
        hidden = self.transformer(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=sequences.positions,
            use_cache=False,
            sequences=sequences,
        ).last_hidden_state[0]
        with torch.autocast(device.type, enabled=False):  # in float32, also where training mixes precisions
            logits: Tensor = self.head(hidden[torch.tensor(judged, device=device)].float())[:, 0]
        return logits


def packed(sheets: Sequence[Sheet], *, tokens: int) -> Iterator[list[int]]:
    """Yield indices of sheets that share a pass: of similar length, about so many tokens; each index once."""
    batch: list[int] = []
    longest = 0
    for i in sorted(range(len(sheets)), key=lambda i: sheets[i].size):
        longest = max(longest, sheets[i].size)
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], sheets[i].size
        batch.append(i)
    if batch:
        yield batch
