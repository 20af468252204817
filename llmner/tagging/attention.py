"""Attention over sequences of different lengths packed into one row, for any transformers model.

The linear layers of a decoder do not care which token belongs to which sequence, so all tokens of a pass go
through them packed, without padding: ``(1, tokens, width)``. Only attention needs to know, and it learns it
from the ``sequences`` argument that transformers hands down to the attention function of every layer:

- ``RowCache``: decoding. Rows at different places, each with its keys and values kept.
- ``SharedPrefix``: training. Rows that continue one common prefix, differentiable.
- ``SharedSentences``: the selector. Rows as these, and branches that continue each row, differentiable.

Invariant: a token sees exactly the tokens before it in its own sequence (within the layer's sliding window),
whatever else is packed beside it.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

IMPLEMENTATION = "llmner_packed"


class Sequences(Protocol):
    """Says which packed tokens belong together."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None) -> Tensor:
        """Attention of one layer.

        Args:
            layer: Index of the layer.
            query: ``(tokens, heads, head_width)``.
            key: ``(tokens, key_value_heads, head_width)``.
            value: As ``key``.
            scale: Factor of the scores.
            window: How many tokens back a token sees, itself included; None for all.

        Returns:
            ``(tokens, heads, head_width)``.
        """
        ...


def _packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    sequences: Sequences,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return the attention function in transformers' form: ``(1, heads, tokens, head_width)`` in, tokens first out."""
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    out = sequences.attend(module.layer_idx, q, k, v, scaling, sliding_window)
    return out[None], None


AttentionInterface.register(IMPLEMENTATION, _packed_attention)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Masked attention of padded rows.

    The heads that share a key-value head are laid one behind the other along the query's length, so that
    keys and values are never repeated.

    Args:
        query: ``(rows, length, heads, head_width)``.
        key: ``(rows, key_value_heads, seen, head_width)``.
        value: As ``key``.
        mask: ``(rows or 1, length, seen)``, true where a token is seen.
        scale: Factor of the scores.

    Returns:
        ``(rows, length, heads, head_width)``.
    """
    rows, length, heads, width = query.shape
    groups = heads // key.shape[1]
    query = query.transpose(1, 2).reshape(rows, key.shape[1], groups * length, width)
    mask = mask.repeat(1, groups, 1)[:, None]
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    return out.reshape(rows, heads, length, width).transpose(1, 2)


def _rows_and_places(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Of packed rows with these lengths, each token's row and its place there."""
    row = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
    starts = lengths.cumsum(0) - lengths
    return row, torch.arange(len(row), device=lengths.device) - starts[row]


_SHORT = 16  # tokens; rows that are fed more, new ones, are padded apart from those that are fed a draft


class RowCache:
    """Keys and values of up to ``rows`` sequences, each at its own length.

    A pass is announced by ``begin`` and then runs through all layers. What a pass wrote beyond the place where
    a row really goes on is simply overwritten by the next: rows are as long as the caller says.

    Args:
        rows: Sequences held at once.
        layers: Layers of the model.
        key_value_heads: Key-value heads of a layer.
        width: Head width.
        dtype: Of keys and values.
        device: Where they are.
    """

    def __init__(
        self, rows: int, layers: int, key_value_heads: int, width: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._kept = torch.zeros(2, layers, rows, key_value_heads, 0, width, dtype=dtype, device=device)
        self._row_of = self._slot_of = torch.zeros(0, dtype=torch.long)  # of each token of the pass
        self._groups: list[_Group] = []

    def begin(self, rows: Sequence[int], starts: Sequence[int], counts: Sequence[int]) -> Tensor:
        """Announce a pass.

        Args:
            rows: The rows fed, each once.
            starts: Tokens each row keeps from earlier passes.
            counts: Tokens each row is fed, at least one; they are packed in this order.

        Returns:
            The tokens' positions, ``(1, tokens)``.
        """
        device = self._kept.device
        self._grow(max(s + c for s, c in zip(starts, counts, strict=True)))
        repeats = torch.tensor(counts, device=device)
        index, within = _rows_and_places(repeats)
        self._row_of = torch.tensor(rows, device=device)[index]
        self._slot_of = torch.tensor(starts, device=device)[index] + within
        is_short = (repeats <= _SHORT)[index]
        self._groups = [
            _Group(tokens, self._row_of[tokens], self._slot_of[tokens], within[tokens])
            for tokens in (is_short.nonzero()[:, 0], (~is_short).nonzero()[:, 0])
            if len(tokens)
        ]
        return self._slot_of[None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None) -> Tensor:
        """See ``Sequences.attend``."""
        self._kept[0, layer, self._row_of, :, self._slot_of] = key
        self._kept[1, layer, self._row_of, :, self._slot_of] = value
        out = torch.empty_like(query)
        for group in self._groups:
            out[group.tokens] = group.attend(query[group.tokens], self._kept[:, layer], scale, window)
        return out

    def copy_row(self, row: int, length: int) -> Tensor:
        """Return a copy of the keys and values of a row's first tokens."""
        return self._kept[:, :, row, :, :length].clone()

    def paste_row(self, row: int, kept: Tensor) -> None:
        """Begin a row with copied keys and values."""
        self._grow(kept.shape[3])
        self._kept[:, :, row, :, : kept.shape[3]] = kept

    def _grow(self, seen: int) -> None:
        have = self._kept.shape[4]
        if seen > have:
            room = max(seen, 2 * have, 256) - have
            self._kept = torch.nn.functional.pad(self._kept, (0, 0, 0, room))


class _Group:
    """Rows of a pass that are padded to one length.

    Where most rows up to the last one take part, the idle ones are padding, too: keys and values are then used
    where they lie. Otherwise those of the rows are copied together.

    Args:
        tokens: Indices of the rows' tokens among the packed tokens of the pass.
        row_of: Row of each of them.
        slot_of: Place of each in its row.
        within: Place of each among those fed to its row.
    """

    def __init__(self, tokens: Tensor, row_of: Tensor, slot_of: Tensor, within: Tensor) -> None:
        self.tokens = tokens
        rows, index = row_of.unique(return_inverse=True)
        span = int(rows[-1]) + 1
        self._in_place = span <= 2 * len(rows)
        self._rows = slice(span) if self._in_place else rows
        self._count = span if self._in_place else len(rows)
        self._length = int(within.max()) + 1
        self._seen = int(slot_of.max()) + 1
        self._padded_at = (row_of if self._in_place else index) * self._length + within
        self._slot_of = slot_of
        self._masks: dict[int | None, Tensor] = {}

    def attend(self, query: Tensor, kept: Tensor, scale: float, window: int | None) -> Tensor:
        """Attention of the group's tokens, ``(tokens, heads, head_width)``, over a layer's keys and values."""
        key, value = kept[:, self._rows, :, : self._seen]
        padded = query.new_zeros(self._count * self._length, *query.shape[1:])
        padded[self._padded_at] = query
        padded = padded.view(self._count, self._length, *query.shape[1:])
        out = _attend(padded, key, value, self._mask(window), scale)
        return out.reshape(-1, *query.shape[1:])[self._padded_at]

    def _mask(self, window: int | None) -> Tensor:
        """Who sees whom: ``(rows, length, seen)``; padding sees slot 0, so that no row of scores is empty."""
        if window not in self._masks:
            place = self._slot_of.new_zeros(self._count * self._length)
            place[self._padded_at] = self._slot_of
            place = place.view(self._count, self._length, 1)
            slots = torch.arange(self._seen, device=place.device)
            mask = slots <= place
            if window is not None:
                mask &= slots > place - window
            self._masks[window] = mask
        return self._masks[window]


class SharedPrefix:
    """One prefix and the rows that continue it, packed as ``prefix, row, row, ...``.

    Args:
        prefix: Tokens of the prefix, at least one.
        lengths: Tokens of each row.
        device: Where the pass runs.
    """

    def __init__(self, prefix: int, lengths: Sequence[int], device: torch.device) -> None:
        self._prefix = prefix
        self._rows = len(lengths)
        self._length = max(lengths)
        index, self._within = _rows_and_places(torch.tensor(lengths, device=device))
        self._padded_at = index * self._length + self._within
        self._masks: dict[int | None, tuple[Tensor, Tensor]] = {}

    @property
    def positions(self) -> Tensor:
        """Positions of the packed tokens, ``(1, tokens)``."""
        prefix = torch.arange(self._prefix, device=self._within.device)
        return torch.cat([prefix, self._prefix + self._within])[None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int | None) -> Tensor:
        """See ``Sequences.attend``."""
        prefix_mask, row_mask = self._mask(window)
        n = self._prefix
        prefix_key, prefix_value = key[None, :n].transpose(1, 2), value[None, :n].transpose(1, 2)
        prefix_out = _attend(query[None, :n], prefix_key, prefix_value, prefix_mask, scale)
        seen_key, seen_value = (
            torch.cat([prefix.expand(self._rows, -1, -1, -1), self._pad(own[n:]).transpose(1, 2)], dim=2)
            for prefix, own in ((prefix_key, key), (prefix_value, value))
        )
        out = _attend(self._pad(query[n:]), seen_key, seen_value, row_mask, scale)
        return torch.cat([prefix_out[0], out.reshape(-1, *query.shape[1:])[self._padded_at]])

    def _pad(self, packed: Tensor) -> Tensor:
        padded = packed.new_zeros(self._rows * self._length, *packed.shape[1:])
        padded = padded.index_copy(0, self._padded_at, packed)
        return padded.view(self._rows, self._length, *packed.shape[1:])

    def _mask(self, window: int | None) -> tuple[Tensor, Tensor]:
        if window not in self._masks:
            place = torch.arange(self._prefix + self._length, device=self._within.device)
            mask = place <= place[:, None]
            if window is not None:
                mask &= place > place[:, None] - window
            n = self._prefix
            self._masks[window] = mask[None, :n, :n], mask[None, n:]
        return self._masks[window]


class SharedSentences(SharedPrefix):
    """One prefix, sentences that continue it, and branches that continue each sentence.

    Packed as ``prefix, sentence, branch, branch, ..., sentence, branch, ...``. A branch sees the prefix, its
    sentence and itself, and stands where the sentence ends, whatever other branches lie between.

    Args:
        prefix: Tokens of the prefix, at least one.
        sentences: Tokens of each sentence.
        branches: For each sentence the tokens of its branches.
        causal: Whether a token sees only what lies before it; otherwise the prefix, a sentence and a branch each
            see all of themselves, and nothing sees what continues it.
        device: Where the pass runs.
    """

    def __init__(
        self,
        prefix: int,
        sentences: Sequence[int],
        branches: Sequence[Sequence[int]],
        *,
        causal: bool,
        device: torch.device,
    ) -> None:
        super().__init__(prefix, [s + sum(b) for s, b in zip(sentences, branches, strict=True)], device)
        self._causal = causal
        places, parts = [], []  # of each packed token behind the prefix: its place, and its branch or 0
        for sentence, own in zip(sentences, branches, strict=True):
            places += [*range(sentence), *(p for b in own for p in range(sentence, sentence + b))]
            parts += [*[0] * sentence, *(i for i, b in enumerate(own, start=1) for _ in range(b))]
        self._places = torch.tensor(places, device=device)
        self._parts = self._pad_plain(torch.tensor(parts, device=device), -1)

    @property
    def positions(self) -> Tensor:
        """See ``SharedPrefix.positions``."""
        return torch.cat([torch.arange(self._prefix, device=self._places.device), self._prefix + self._places])[None]

    def _pad_plain(self, packed: Tensor, filler: int) -> Tensor:
        padded = packed.new_full((self._rows * self._length,), filler)
        return padded.index_copy(0, self._padded_at, packed).view(self._rows, self._length)

    def _mask(self, window: int | None) -> tuple[Tensor, Tensor]:
        if window not in self._masks:
            n, device = self._prefix, self._places.device
            prefix_places = torch.arange(n, device=device)
            places = n + self._pad_plain(self._places, 0)  # (rows, length)
            parts = self._parts
            own = (parts[:, None] == 0) | (parts[:, None] == parts[:, :, None])  # (rows, length, length)
            if self._causal:
                order = torch.arange(self._length, device=device)
                own &= order <= order[:, None]
                prefix_mask = prefix_places <= prefix_places[:, None]
            else:
                own &= (parts >= 0)[:, None]
                prefix_mask = torch.ones(n, n, dtype=torch.bool, device=device)
            row_mask = torch.cat([own.new_ones(self._rows, self._length, n), own], dim=2)
            if window is not None:
                seen = torch.cat([prefix_places.expand(self._rows, n), places], dim=1)[:, None]
                row_mask &= (places[:, :, None] - seen).abs() < window
                prefix_mask &= (prefix_places - prefix_places[:, None]).abs() < window
            self._masks[window] = prefix_mask[None], row_mask
        return self._masks[window]
