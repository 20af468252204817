"""Copy-speculative decoding with any transformers causal model, on a CPU or one GPU.

While a sentence is copied nearly every token is known beforehand, so a piece of the sentence is drafted and
verified in one forward pass: the first place where a tag beats the copy ends the accepted part, the tag is
placed and the next piece is drafted from there. Many sentences go through together, each at its own place; a
sentence that is done makes room for the next. Only the logits of the few tokens that the grammar allows are
computed.

Invariant: the result is what greedy decoding under the grammar gives one token at a time, and it does not
depend on which sentences share a pass (up to the rounding of matrix products).
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from llmner.errors import LlmnerError, TaggingError
from llmner.tagging.answers import mentions_of
from llmner.tagging.attention import RowCache
from llmner.tagging.codec import Codec
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagging.grammar import Cursor
from llmner.tagging.prompts import DEFAULT_FORM, Form
from llmner.tagset import TagSet
from llmner.units import TokenisedText

_PREFIXES_KEPT = 16


@dataclass(slots=True)
class _Row:
    """A sentence on its way: where it stands and what it is fed next."""

    request: int
    source: TokenisedText
    cursor: Cursor
    waiting: list[int]  # decided, but not fed yet; at least one token
    length: int  # tokens whose keys and values are kept
    fed: int = 0
    draft: list[int] = field(default_factory=list)
    allowed: list[tuple[int, ...]] = field(default_factory=list)  # after the last waiting token, each drafted one


class LocalEngine:
    """Tags sentences in this process.

    Args:
        model: A transformers causal model whose attention is ``attention.IMPLEMENTATION``.
        tokenizer: Its tokenizer.
        fingerprint: What shapes the answers, see ``models.spec.GeneratorSpec.fingerprint``.
        form: How the model was trained to be asked and to answer.
        rows: Sentences decoded together.
        draft: Tokens drafted at once. Short drafts feed fewer tokens again after each tag, long ones need
            fewer passes; see tests/benchmarks/decoding.py.
        open_bias: Added to the logit of opening a tag, or a type's line, where the model chooses: above 0 it finds
            more and errs more. Scores remain the model's own probabilities.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        fingerprint: dict[str, str],
        form: Form = DEFAULT_FORM,
        rows: int = 32,
        draft: int = 8,
        open_bias: float = 0.0,
    ) -> None:
        self._decoder = model.get_decoder()
        self._embedding: Tensor = model.get_output_embeddings().weight
        config = model.config.get_text_config()  # of a model that also sees, its language part
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)
        self._window: int = config.max_position_embeddings
        self._codec = Codec(tokenizer, form)
        self._rows = rows
        self._draft = draft
        self._open_bias = open_bias
        self._fingerprint = fingerprint
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._cache = RowCache(
            rows, config.num_hidden_layers, config.num_key_value_heads, width, dtype=model.dtype, device=model.device
        )
        self._prefixes: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()  # keys and values of prompt prefixes

    @property
    def fingerprint(self) -> dict[str, str]:
        """See ``Engine.fingerprint``."""
        return dict(self._fingerprint)

    @torch.inference_mode()
    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """See ``Engine.tag``."""
        results: list[TaggingResult | None] = [None] * len(requests)
        sources = [self._codec.source(r.text) for r in requests]
        # The longest first, so that few are left alone at the end. More types make more lines.
        work = [len(s.tokens) * (3 + len(r.tag_set.types)) for s, r in zip(sources, requests, strict=True)]
        queue = sorted(range(len(requests)), key=work.__getitem__)
        active: dict[int, _Row] = {}
        while queue or active:
            for slot in range(self._rows):
                if slot not in active and queue:
                    i = queue.pop()
                    row = self._admit(i, requests[i], sources[i], slot)
                    if isinstance(row, TaggingResult):
                        results[i] = row
                    else:
                        active[slot] = row
            for slot, row in list(active.items()):
                row.draft = row.cursor.draft(self._draft)
                if row.length + len(row.waiting) + len(row.draft) > self._window:
                    error = TaggingError(
                        f"the tagged text is longer than the model's window of {self._window} tokens",
                        hint="cut sentences shorter",
                    )
                    results[row.request] = self._result(row, requests[row.request], error)
                    del active[slot]
            if active:
                self._pass(active)
            for slot, row in list(active.items()):
                if row.cursor.done:
                    results[row.request] = self._result(row, requests[row.request])
                    del active[slot]
        return [r for r in results if r is not None]

    def _admit(self, index: int, request: TaggingRequest, source: TokenisedText, slot: int) -> _Row | TaggingResult:
        """Begin a row with the kept prefix; a text without a unit to tag is answered at once."""
        if all(source.blank):
            return TaggingResult()
        prefix = self._prefix(request.tag_set, slot)
        self._cache.paste_row(slot, prefix)
        cursor = self._codec.cursor(source, request.tag_set)
        return _Row(index, source, cursor, [*source.tokens, *self._codec.suffix], prefix.shape[3])

    def _prefix(self, tag_set: TagSet, slot: int) -> Tensor:
        """Keys and values of a tag set's prompt prefix, computed once, in a row that is free."""
        tokens = self._codec.prefix(tag_set)
        if tokens not in self._prefixes:
            cache = self._cache
            self._forward(torch.tensor([tokens]), cache.begin([slot], [0], [len(tokens)]))
            self._prefixes[tokens] = cache.copy_row(slot, len(tokens))
            if len(self._prefixes) > _PREFIXES_KEPT:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(tokens)
        return self._prefixes[tokens]

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Last hidden states of a pass announced to the cache: ``(tokens, width)``."""
        out = self._decoder(
            input_ids=tokens.to(positions.device), position_ids=positions, use_cache=False, sequences=self._cache
        )
        hidden: Tensor = out.last_hidden_state[0]
        return hidden

    def _pass(self, active: dict[int, _Row]) -> None:
        """Feed every row what it waits for and its draft, and move it on as far as the model agrees."""
        rows = list(active.values())
        counts = [len(r.waiting) + len(r.draft) for r in rows]
        positions = self._cache.begin(list(active), [r.length for r in rows], counts)
        hidden = self._forward(torch.tensor([[t for r in rows for t in (*r.waiting, *r.draft)]]), positions)

        places: list[int] = []
        start = 0
        for row, count in zip(rows, counts, strict=True):
            row.allowed = list(_allowed_along(row.cursor, row.draft))
            first = start + len(row.waiting) - 1
            places += [first + i for i, allowed in enumerate(row.allowed) if len(allowed) > 1]
            start += count
        choices = iter(self._choose(hidden, places, [a for r in rows for a in r.allowed if len(a) > 1]))
        for row in rows:
            _move_on(row, choices)

    def _choose(self, hidden: Tensor, places: list[int], allowed: list[tuple[int, ...]]) -> list[tuple[int, float]]:
        """Return the likeliest allowed token at each place, and its probability among the allowed."""
        if not places:
            return []
        device = hidden.device
        most = max(map(len, allowed))
        ids = torch.tensor([[*a, *[a[0]] * (most - len(a))] for a in allowed], device=device)
        extra = torch.arange(most, device=device) >= torch.tensor([[len(a)] for a in allowed], device=device)
        weights = self._embedding[ids].float()  # (places, most, width)
        logits = (weights @ hidden[torch.tensor(places, device=device)].float()[:, :, None]).squeeze(2)
        if self._softcap:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        logits = logits.masked_fill(extra, float("-inf"))
        best = (logits + self._biases(allowed, most).to(device)).argmax(1, keepdim=True)
        probabilities = logits.softmax(1).gather(1, best)[:, 0].tolist()
        return [(a[i], p) for a, i, p in zip(allowed, best[:, 0].tolist(), probabilities, strict=True)]

    def _biases(self, allowed: list[tuple[int, ...]], most: int) -> Tensor:
        """Return what is added to the logits of the allowed tokens: ``(places, most)``, or zero."""
        if not self._open_bias:
            return torch.zeros(())
        opening = [[*self._codec.opening(a), *[False] * (most - len(a))] for a in allowed]
        return self._open_bias * torch.tensor(opening, dtype=torch.float32)

    def _result(self, row: _Row, request: TaggingRequest, error: LlmnerError | None = None) -> TaggingResult:
        return TaggingResult(
            () if error else mentions_of(row.cursor.tags, row.source, request),
            source_tokens=len(row.source.tokens),
            fed_tokens=row.fed,
            error=error,
        )


def _allowed_along(cursor: Cursor, draft: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield what is allowed after the waiting tokens, and after each drafted one."""
    cursor = cursor.copy()
    for token in draft:
        yield cursor.allowed()
        cursor.advance(token)
    yield cursor.allowed()


def _move_on(row: _Row, choices: Iterator[tuple[int, float]]) -> None:
    """Accept the draft up to where the model disagrees; what it says there waits to be fed.

    Takes one choice from ``choices`` for every place of the row where there was one.
    """
    decided = [(a[0], 1.0) if len(a) == 1 else next(choices) for a in row.allowed]
    row.fed += len(row.waiting) + len(row.draft)
    row.length += len(row.waiting)
    for (token, probability), drafted in zip(decided, [*row.draft, None], strict=True):
        row.cursor.advance(token, probability)
        if token != drafted:
            row.waiting = [token]
            return
        row.length += 1
