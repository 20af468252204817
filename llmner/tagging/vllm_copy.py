"""The copy drafter as vLLM plugs it in: ``speculative_config={"method": "custom_class", "model": CLASS, ...}``.

vLLM makes one in each of its model processes. It keeps nothing of a request; what it learns is only how many of its
drafts are accepted.

Invariant: with or without it the engine writes the same tokens.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmner.tagging.codec import Codec
from llmner.tagging.drafting import Markers, best_length, continuation
from llmner.tagging.grammar import Tokens, Vocabulary
from llmner.tagging.prompts import form_of, labels

CLASS = f"{__name__}.CopyDrafter"
# Tokens that a step takes at little more than the price of reading the weights: operations over bytes that a card does
# in a second, 300 on an H100 by its data sheet, of which matrix products reach two thirds.
_FREE = {"cpu": 8, "cuda": 200}
_MEMORY = 0.999  # weight of the drafts before, at each further one
_PREFIXES_KEPT = 256


class CopyDrafter:
    """Drafts the rest of the sentence that is being copied.

    Args:
        vllm_config: vLLM's whole configuration.
    """

    def __init__(self, vllm_config: Any) -> None:
        from transformers import AutoTokenizer

        model = vllm_config.model_config
        self._tokenizer = AutoTokenizer.from_pretrained(model.tokenizer, revision=model.tokenizer_revision)
        codec = Codec(self._tokenizer)
        self._markers = Markers(codec.before, codec.suffix)
        self._vocabularies: dict[bytes, Vocabulary] = {}
        self._longest: int = vllm_config.speculative_config.num_speculative_tokens
        self._free = _FREE.get(vllm_config.device_config.device_type, _FREE["cuda"])
        self._accepted, self._refused = 90.0, 10.0  # running sums of tokens; at first a guess
        self._drafted = 0  # length of the last step's drafts

    def load_model(self, *_: object, **__: object) -> None:
        """Nothing to load: there is no model."""

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: NDArray[np.integer],
        token_ids_cpu: NDArray[np.integer],
        *_: object,
        **__: object,
    ) -> list[list[int]]:
        """Draft for all rows of a step.

        Args:
            sampled_token_ids: What each row has just written: the accepted part of its draft and one token more;
                nothing for a row whose prompt is not read to its end.
            num_tokens_no_spec: Tokens of each row, ``(rows,)``.
            token_ids_cpu: The rows, ``(rows, window)``.

        Returns:
            A draft for each row, empty where there is none.
        """
        rows = [token_ids_cpu[i, : num_tokens_no_spec[i]] for i in range(len(sampled_token_ids))]
        length = self._length(sampled_token_ids, rows)
        return [
            continuation(row, self._markers, self._vocabulary, length) if written else []
            for row, written in zip(rows, sampled_token_ids, strict=True)
        ]

    def _length(self, sampled_token_ids: Sequence[Sequence[int]], rows: Sequence[Tokens]) -> int:
        """Learn from what was accepted of the last drafts, and choose the next length."""
        active = 0
        for written, row in zip(sampled_token_ids, rows, strict=True):
            active += bool(written)
            before = row[: len(row) - len(written)]
            asked = tuple(before[-len(self._markers.after) :].tolist()) == self._markers.after
            if written and not asked:  # there was a draft; a row's first token is written without one
                self._accepted = self._accepted * _MEMORY + len(written) - 1
                self._refused = self._refused * _MEMORY + self._was_refused(before, len(written) - 1)
        acceptance = min(self._accepted / (self._accepted + self._refused), 0.99)
        self._drafted = best_length(round(acceptance, 2), active, free=self._free, longest=self._longest)
        return self._drafted

    def _was_refused(self, before: Tokens, accepted: int) -> bool:
        """Return whether some of a row's last draft was refused; at the end of a sentence a draft is short."""
        if accepted >= self._drafted:
            return False
        return accepted < len(continuation(before, self._markers, self._vocabulary, self._drafted))

    def _vocabulary(self, prefix: Tokens) -> Vocabulary:
        """Return the tokens of the tag set that a prompt's prefix describes."""
        key = prefix.tobytes()
        if key not in self._vocabularies:
            if len(self._vocabularies) >= _PREFIXES_KEPT:
                self._vocabularies.clear()
            text = self._tokenizer.decode(prefix.tolist(), skip_special_tokens=True)
            self._vocabularies[key] = Codec(self._tokenizer, form_of(text)).vocabulary_of(labels(text))
        return self._vocabularies[key]
