"""Candidates: what a generator found in annotated sentences, as a file, and how a tokenizer shows one to the selector.

A file is JSON lines, one sentence a line: ``{"text", "tag_set", "entities": [{"start", "end", "type"}],
"candidates": [{"start", "end", "type", "score"}], "source", "line", "doc_id", "engine"}``; offsets in code points, end
exclusive. ``source`` and ``line`` say which annotated sentence it was, ``doc_id`` of which document where that is
known, ``engine`` what found the candidates.

Invariant: a candidate is shown as the piece of the tagged text in which the generator would write it, after the
generator's own prompt: a few units, the bracketed span with its type, a few units. What is common to the candidates
of a sentence stands before it, so it is computed once.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmner.annotations import AnnotatedSentence
from llmner.errors import InputError, InputNotFoundError, ModelError
from llmner.mentions import Mention
from llmner.selection.samples import UnitSpan
from llmner.tagging import prompts
from llmner.tagging.engine import Engine, TaggingRequest
from llmner.tagging.layouts import LAYOUTS
from llmner.tagging.prompts import DEFAULT_FORM, Form
from llmner.tagset import TagSet
from llmner.units import TokenisedText, UnitTokeniser

CONTEXT = 2  # units shown on each side of a candidate
VERSION = 2  # raise it when the same selector would see other tokens


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """An annotated sentence and what a generator found in it.

    Attributes:
        text: The sentence.
        tag_set: Name of the tag set.
        gold: Annotated mentions.
        candidates: What the generator found, with its scores.
        source: Name of the file of annotated sentences.
        line: Number of its line there, from 1.
        engine: What found the candidates.
        doc_id: The document that it is from; empty where the corpus does not say.
    """

    text: str
    tag_set: str
    gold: tuple[Mention, ...]
    candidates: tuple[Mention, ...]
    source: str
    line: int
    engine: str
    doc_id: str = ""

    @property
    def document(self) -> str:
        """What the sentences of its document share, and no other does."""
        return f"{self.source} {self.doc_id}" if self.doc_id else f"{self.source}:{self.line}"

    def to_json(self) -> str:
        """Return its line of the file."""
        content = {
            "text": self.text,
            "tag_set": self.tag_set,
            "entities": [{"start": m.start, "end": m.end, "type": m.type} for m in self.gold],
            "candidates": [
                {"start": m.start, "end": m.end, "type": m.type, "score": round(m.score, 5)} for m in self.candidates
            ],
            "source": self.source,
            "line": self.line,
            "doc_id": self.doc_id,
            "engine": self.engine,
        }
        return json.dumps(content, ensure_ascii=False)


def read_candidates(path: Path) -> list[JudgedSentence]:
    """Read a file of candidates.

    Raises:
        InputNotFoundError: No such file.
        InputError: A line is not a sentence with candidates.
    """
    try:
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file", hint="`llmner candidates` writes one") from None
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: {e}", hint="candidates are JSON lines in UTF-8") from e
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def find_candidates(
    engine: Engine,
    sentences: Mapping[int, AnnotatedSentence],
    tag_set: TagSet,
    *,
    source: str,
    types: Collection[str] | None = None,
    at_once: int = 64,
) -> Iterator[JudgedSentence]:
    """Yield what a generator finds in annotated sentences, in their order.

    Args:
        engine: The generator.
        sentences: Sentences by the number of their line; best none that the generator was trained on.
        tag_set: The types that they are annotated with.
        source: Name of their file.
        types: Types that they are annotated with, where these are not all of the tag set's: only these are candidates.
        at_once: Sentences a call of the engine.

    Raises:
        LlmnerError: A sentence cannot be tagged.
    """
    model = hashlib.sha256(json.dumps(engine.fingerprint, sort_keys=True).encode()).hexdigest()[:16]
    numbers = list(sentences)
    for first in range(0, len(numbers), at_once):
        here = numbers[first : first + at_once]
        results = engine.tag([TaggingRequest(sentences[n].text, tag_set) for n in here])
        for n, result in zip(here, results, strict=True):
            if result.error is not None:
                raise result.error
            sentence = sentences[n]
            found = tuple(m for m in result.mentions if types is None or m.type in types)
            yield JudgedSentence(
                sentence.text, tag_set.name, sentence.mentions, found, source, n, model, sentence.doc_id
            )


def _read_line(line: str, where: str) -> JudgedSentence:
    try:
        raw = json.loads(line)
        return JudgedSentence(
            text=raw["text"],
            tag_set=raw["tag_set"],
            gold=tuple(Mention(e["start"], e["end"], e["type"]) for e in raw["entities"]),
            candidates=tuple(Mention(c["start"], c["end"], c["type"], c["score"]) for c in raw["candidates"]),
            source=raw["source"],
            line=raw["line"],
            engine=raw["engine"],
            doc_id=raw.get("doc_id", ""),
        )
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"{where}: not a sentence with candidates: {e!r}") from e


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sentence and the candidates to judge in it, as tokens.

    Attributes:
        sentence: Tokens of the sentence and what follows it in the prompt.
        branches: For each candidate its tokens; the last one is where the judgement is read.
    """

    sentence: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """How many tokens it has."""
        return len(self.sentence) + sum(map(len, self.branches))


class SheetCodec:
    """Between sentences with candidates and token ids, for one tokenizer.

    Args:
        tokenizer: A transformers tokenizer, of a decoder or an encoder.
        form: How the selector is asked: as the generator whose adapter it began as.

    Raises:
        ModelError: It has no token to end a candidate with.
    """

    def __init__(self, tokenizer: Any, form: Form = DEFAULT_FORM) -> None:
        self._tokenizer = tokenizer
        self._form = form
        self._units = UnitTokeniser(self._encode)
        self._suffix, self._open, self._close = map(self._encode, (prompts.SUFFIX, "[", "]"))
        self._end = self._encode("\n") or [t for t in [tokenizer.sep_token_id] if t is not None]
        if not self._end:
            raise ModelError("the tokenizer has neither a line end nor a separator")
        self.prefix = lru_cache(maxsize=64)(self._prefix)
        self._named = lru_cache(maxsize=1024)(self._encode)

    def source(self, text: str) -> TokenisedText:
        """Return units and tokens of a sentence."""
        return self._units(prompts.sentence(text, self._form))

    def sheet(self, source: TokenisedText, tag_set: TagSet, spans: Iterable[UnitSpan]) -> Sheet:
        """Return the tokens of a sentence and its candidates."""
        begins = [i for i, unit in enumerate(source.unit_at) if unit >= 0]  # the token that each unit begins with

        def tokens(first: int, last: int) -> tuple[int, ...]:
            return source.tokens[begins[max(first, 0)] : begins[min(last, len(begins) - 1)]]

        def branch(span: UnitSpan) -> tuple[int, ...]:
            label = tag_set.types[span.type].label
            before, after = LAYOUTS[self._form.layout].around(label)
            return (
                *(token for text in before for token in self._named(text)),
                *tokens(span.first - CONTEXT, span.first),
                *self._open,
                *tokens(span.first, span.last),
                *(token for text in after for token in self._named(text)),
                *self._close,
                *tokens(span.last, span.last + CONTEXT),
                *self._end,
            )

        return Sheet((*source.tokens, *self._suffix), tuple(map(branch, spans)))

    def _prefix(self, tag_set: TagSet) -> tuple[int, ...]:
        first = self._tokenizer.bos_token_id
        first = self._tokenizer.cls_token_id if first is None else first
        return tuple(([] if first is None else [first]) + self._encode(prompts.prefix(tag_set, self._form)))

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def unit_spans(source: TokenisedText, mentions: Sequence[Mention], tag_set: TagSet) -> list[UnitSpan]:
    """Return mentions as the units that cover them, types as indices; those of unknown types are left out."""
    index = {t.name: i for i, t in enumerate(tag_set.types)}
    return [UnitSpan(*source.covering(m.start, m.end), index[m.type]) for m in mentions if m.type in index]
