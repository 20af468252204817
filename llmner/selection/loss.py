"""What the selector learns by: a contrastive term that ranks, and binary cross-entropy that keeps scores honest."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def contrastive_loss(logits: Tensor, positive: Sequence[bool], groups: Sequence[int | None]) -> Tensor:
    """Return InfoNCE inside each group: the positive against its own negatives.

    ``-log(exp(p) / (exp(p) + sum(exp(n))))``, averaged over the groups that have both; 0 where there is none.

    Args:
        logits: ``(candidates,)``.
        positive: For each candidate whether it is gold; one positive a group.
        groups: For each candidate the group it competes in, or None.
    """
    members: dict[int, list[int]] = {}
    for i, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(i)
    rows = [sorted(own, key=lambda i: not positive[i]) for own in members.values() if len(own) > 1]
    rows = [own for own in rows if positive[own[0]]]
    if not rows:
        return logits.sum() * 0.0
    longest = max(map(len, rows))
    index = torch.tensor([own + own[:1] * (longest - len(own)) for own in rows], device=logits.device)
    filler = torch.tensor([[i >= len(own) for i in range(longest)] for own in rows], device=logits.device)
    table = logits[index].masked_fill(filler, float("-inf"))
    return (table.logsumexp(1) - table[:, 0]).mean()


def selection_loss(
    logits: Tensor, positive: Sequence[bool], groups: Sequence[int | None], *, contrastive: float
) -> Tensor:
    """Return binary cross-entropy over all candidates, plus ``contrastive`` times the contrastive loss."""
    target = torch.tensor(positive, dtype=logits.dtype, device=logits.device)
    loss = binary_cross_entropy_with_logits(logits, target)
    return loss + contrastive * contrastive_loss(logits, positive, groups) if contrastive else loss
