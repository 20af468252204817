"""Between text and token ids: the prompt, the sentence's units and the tags, for one tokenizer.

Invariant: ``prefix(tag_set) + source(text).tokens + suffix`` is the prompt in tokens; every part is tokenised
by itself, so the prefix is the same for all sentences of a tag set.
"""

from functools import lru_cache
from typing import Any

from llmner.errors import ModelError
from llmner.tagging import prompts
from llmner.tagging.grammar import Cursor, UnitSpans, Vocabulary, single
from llmner.tagging.layouts import LAYOUTS
from llmner.tagging.prompts import DEFAULT_FORM, Form
from llmner.tagset import TagSet
from llmner.units import TokenisedText, UnitTokeniser

_ANY_LABEL = "x"


class Codec:
    """Token ids of prompts and tags.

    Args:
        tokenizer: A transformers tokenizer.
        form: How the model is asked and how it answers.

    Raises:
        ModelError: A tag is not a single token of it, so the grammar cannot be written.
    """

    def __init__(self, tokenizer: Any, form: Form = DEFAULT_FORM) -> None:
        self._tokenizer = tokenizer
        self._form = form
        self._units = UnitTokeniser(self._encode)
        self.suffix = tuple(self._encode(prompts.SUFFIX))
        self._open = single(self._encode, "[")
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no end-of-sequence token")
        self._end: int = tokenizer.eos_token_id
        self.before = self._encode(prompts.BEFORE)[-1]  # the prefix ends with it
        self.prefix = lru_cache(maxsize=64)(self._prefix)
        self.vocabulary = lru_cache(maxsize=64)(self._vocabulary)
        self.layout = LAYOUTS[form.layout]
        self.vocabulary_of((_ANY_LABEL,))  # refuses a tokenizer that cannot write tags

    def source(self, text: str) -> TokenisedText:
        """Units and tokens of a sentence."""
        return self._units(prompts.sentence(text, self._form))

    def cursor(self, source: TokenisedText, tag_set: TagSet) -> Cursor:
        """Return the beginning of a tagged text."""
        return self.vocabulary(tag_set).cursor(source)

    def write(self, source: TokenisedText, tags: UnitSpans, tag_set: TagSet) -> list[int]:
        """Return the tokens of a tagged text, see ``grammar.Vocabulary.write``."""
        return self.vocabulary(tag_set).write(source, tags)

    def opening(self, allowed: tuple[int, ...]) -> list[bool]:
        """Return which tokens that the grammar allows at a place open a tag, or a type's line instead of the end."""
        ends = allowed[0] == self._end
        return [token == self._open or (ends and token != self._end) for token in allowed]

    def biases(self, bias: float) -> dict[int, float]:
        """Return the same for an engine that adds to the logits of tokens wherever they stand.

        Tags have tokens of their own, and where the answer may end it can otherwise only begin another line.
        """
        return {self._open: bias, self._end: -bias}

    def _prefix(self, tag_set: TagSet) -> tuple[int, ...]:
        bos = self._tokenizer.bos_token_id
        return tuple(([] if bos is None else [bos]) + self._encode(prompts.prefix(tag_set, self._form)))

    def _vocabulary(self, tag_set: TagSet) -> Vocabulary:
        return self.vocabulary_of(tuple(t.label for t in tag_set.types))

    def vocabulary_of(self, labels: tuple[str, ...]) -> Vocabulary:
        """Return the tokens of a tag set with these labels.

        Raises:
            ModelError: Two labels cannot be told apart by their tokens.
        """
        return self.layout.vocabulary(labels, self._encode, self._end)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))
