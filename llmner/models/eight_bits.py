"""Linear layers in 8 bits, for processors that multiply 8-bit integers faster than other numbers.

Weights are integers with one scale for each row, made once; activations are with one scale for each token, made when
they come by. Products are summed exactly, in 32-bit integers (``torch._int_mm``, oneDNN's kernels).

Invariant: no scale spans tokens, so an answer does not depend on what is computed beside it.
"""

import torch
from torch import Tensor, nn

_MOST = 127  # of a signed byte, the same on both sides
_LEAST = 1e-6  # of a scale, for a token or row of zeros


def to_eight_bits(model: nn.Module) -> None:
    """Replace the linear layers of a model, in place; they must have no bias.

    Args:
        model: In evaluation mode, on a CPU.
    """
    tokens = _Tokens()
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(parent, name, _EightBitLinear(layer, tokens))


class _Tokens:
    """Activations in 8 bits; layers that are fed the same share the work, as queries, keys and values do."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._integers = self._scales = torch.zeros(0)

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return integers, ``(tokens, width)``, and scales, ``(tokens, 1)``, of activations ``(..., width)``."""
        if x is not self._last:
            rows = x.reshape(-1, x.shape[-1])
            self._scales = rows.abs().amax(1, keepdim=True).float().div_(_MOST).clamp_min_(_LEAST)
            self._integers = (rows / self._scales).round_().to(torch.int8)
            self._last = x
        return self._integers, self._scales


class _EightBitLinear(nn.Module):
    def __init__(self, layer: nn.Linear, tokens: _Tokens) -> None:
        super().__init__()
        weight = layer.weight.float()  # (out, in)
        scales = weight.abs().amax(1, keepdim=True).div_(_MOST).clamp_min_(_LEAST)
        self._weight = (weight / scales).round_().to(torch.int8).t().contiguous()  # as products read it
        self._scales = scales.t()
        self._tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        integers, scales = self._tokens.of(x)
        out = torch._int_mm(integers, self._weight).float().mul_(scales).mul_(self._scales)
        return out.to(x.dtype).view(*x.shape[:-1], -1)
