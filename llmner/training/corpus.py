"""Annotated sentences as training examples, and examples as batches.

Invariant: an example's target is a sequence the grammar admits; mentions that cannot be written (crossing,
off the unit edges) are left out and counted, never bent. The same seed gives the same batches.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np

from llmner.annotations import AnnotatedSentence
from llmner.tagging.grammar import MAX_DEPTH, Cursor
from llmner.tagset import TagSet
from llmner.units import TokenisedText, shown


class Batchable(Protocol):
    """What a batch is made of."""

    @property
    def tag_set(self) -> str:
        """What it is asked for: the same for examples that may share a batch."""
        ...

    @property
    def fed(self) -> int:
        """Tokens that the model is fed for it, prefix not counted."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A sentence ready for training. All arrays are of int32.

    Attributes:
        tag_set: Digest of the tag set, or the part of one, that it is asked for.
        tokens: What follows the prompt's prefix, up to and with the end token, which is never fed.
        answer: Index of the answer's first token; what stands before it is the prompt.
        places: For each place where the grammar leaves a choice the token after which to choose, an index into
            ``tokens``.
        counts: How many tokens are allowed there, at least two.
        allowed: Those tokens, place after place.
        chosen: What the annotation says, an index into the place's allowed tokens.
    """

    tag_set: str
    tokens: np.ndarray
    answer: int
    places: np.ndarray
    counts: np.ndarray
    allowed: np.ndarray
    chosen: np.ndarray

    @property
    def fed(self) -> int:
        """Tokens that the model is fed for it, prefix not counted."""
        return len(self.tokens) - 1


def writable(
    sentence: AnnotatedSentence, source: TokenisedText, tag_set: TagSet, *, one_line: bool = False
) -> tuple[dict[int, list[tuple[int, int]]], Counter]:
    """Return the mentions of a sentence as unit spans by type, as far as they can be written.

    Args:
        sentence: The annotated sentence.
        source: Its units.
        tag_set: The types.
        one_line: Whether all types are to be written on one line, so that none may cross another.

    Returns:
        Spans by the type's index, and a count of what was left out by reason.
    """
    # A mention may begin at a unit or behind its leading space, and end where a unit ends.
    text = shown(sentence.text)
    begins = {o + 1: u for u, o in enumerate(source.offsets[:-1]) if text[o] == " "}
    begins |= {o: u for u, o in enumerate(source.offsets[:-1])}
    ends = {o: u for u, o in enumerate(source.offsets)}
    index = {t.name: i for i, t in enumerate(tag_set.types)}
    left_out: Counter = Counter()
    spans: dict[int, list[tuple[int, int]]] = {}
    for m in sorted(sentence.mentions, key=lambda m: (m.start, -m.end)):
        if m.type not in index:
            left_out["other type"] += 1
            continue
        first, last = begins.get(m.start), ends.get(m.end)
        if first is None or last is None or first >= last or source.blank[first]:
            left_out["off the unit edges"] += 1
            continue
        same_type = spans.setdefault(index[m.type], [])
        others = [s for line in spans.values() for s in line] if one_line else same_type
        if (first, last) in same_type:
            continue
        if any(a < first < b < last for a, b in others):
            left_out["crossing"] += 1
        elif sum(b >= last for a, b in others) >= MAX_DEPTH:
            left_out["too deep"] += 1
        else:
            same_type.append((first, last))
    return spans, left_out


def example(tag_set: str, prompt: Sequence[int], target: Sequence[int], cursor: Cursor) -> Example:
    """Return the training example of a sentence: its tokens, and the decisions in its tagged text.

    Args:
        tag_set: Digest of the tag set, or the part of one, that it is asked for.
        prompt: The prompt's tokens after its prefix.
        target: The tokens of the tagged text.
        cursor: At the beginning of that; it walks to the end.
    """
    allowed: list[int] = []
    places, counts, chosen = [], [], []
    for i, token in enumerate(target):
        following = cursor.allowed()
        if len(following) > 1:
            places.append(len(prompt) + i - 1)
            counts.append(len(following))
            allowed += following
            chosen.append(following.index(token))
        cursor.advance(token)
    arrays = (np.array(values, dtype=np.int32) for values in (places, counts, allowed, chosen))
    return Example(tag_set, np.array([*prompt, *target], dtype=np.int32), len(prompt), *arrays)


def collate(examples: Sequence[Example], prefix: Sequence[int]) -> dict[str, Any]:
    """Return a batch in numbers, for examples of one tag set.

    Args:
        examples: At least one.
        prefix: The tokens of their prompt's prefix.

    Returns:
        ``tokens``, int64 ``(1, all)``: prefix and examples packed, without their end tokens; ``prefix``: its
        length; ``lengths``: those of the examples. Of the places where the grammar leaves a choice, ``places``
        ``(places,)``: the packed token after which to choose; ``allowed`` ``(places, most)``: columns of ``words``,
        -1 where there are fewer; ``words``: the tokens that are allowed anywhere; ``chosen`` ``(places,)``: index
        of the right one. Of the answers' tokens, ``answer_places``: the packed token before; ``answers``: the token.
    """
    lengths = [e.fed for e in examples]
    starts = [len(prefix) + s for s in np.cumsum([0, *lengths[:-1]]).tolist()]
    packed = np.concatenate([np.asarray(prefix), *(e.tokens[:-1] for e in examples)])
    counts = np.concatenate([e.counts for e in examples])
    words, columns = np.unique(np.concatenate([e.allowed for e in examples]), return_inverse=True)
    allowed = np.full((len(counts), counts.max()), -1)
    allowed[np.arange(counts.max()) < counts[:, None]] = columns
    batch = {
        "tokens": packed[None],
        "places": np.concatenate([s + e.places for s, e in zip(starts, examples, strict=True)]),
        "allowed": allowed,
        "words": words,
        "chosen": np.concatenate([e.chosen for e in examples]),
        "answer_places": np.concatenate(
            [np.arange(s + e.answer - 1, s + e.fed) for s, e in zip(starts, examples, strict=True)]
        ),
        "answers": np.concatenate([e.tokens[e.answer :] for e in examples]),
    }
    return {"prefix": len(prefix), "lengths": lengths, **{k: v.astype(np.int64) for k, v in batch.items()}}


def balanced(weights: Sequence[float], tokens: Sequence[int], languages: Sequence[str]) -> list[float]:
    """Weights of corpora scaled so that each language has as many tokens, and all together as many as before.

    Args:
        weights: How often each corpus is seen in an epoch.
        tokens: Tokens of each corpus.
        languages: Language of each.
    """
    weighted = [w * t for w, t in zip(weights, tokens, strict=True)]
    totals = dict.fromkeys(languages, 0.0)
    for total, lang in zip(weighted, languages, strict=True):
        totals[lang] += total
    share = sum(weighted) / len(totals)
    return [w * share / totals[lang] for w, lang in zip(weights, languages, strict=True)]


def drawn(sizes: Sequence[int], weights: Sequence[float], *, seed: int) -> list[int]:
    """Indices of the examples of one epoch.

    Args:
        sizes: Number of examples of each corpus; they are numbered corpus after corpus.
        weights: How often each corpus's examples are seen in an epoch; a part of once is drawn by the seed.
        seed: Of the draw.
    """
    rng = random.Random(seed)
    result: list[int] = []
    first = 0
    for size, weight in zip(sizes, weights, strict=True):
        everyone = range(first, first + size)
        result += [*everyone] * math.floor(weight)
        result += sorted(rng.sample(everyone, round(size * (weight - math.floor(weight)))))
        first += size
    return result


def batches(examples: Sequence[Batchable], indices: Sequence[int], *, tokens: int, seed: int) -> list[list[int]]:
    """Indices of examples in batches.

    A batch has one tag set, examples of like length and about ``tokens`` tokens, prefix not counted.

    Args:
        examples: All examples.
        indices: Those to take, each as often as it is there.
        tokens: Tokens a batch.
        seed: Of the shuffle; the same seed gives the same batches.
    """
    rng = random.Random(seed)
    # A little noise on the length, so that batches differ between epochs.
    noise = [rng.uniform(0.9, 1.1) for _ in indices]
    order = sorted(
        zip(indices, noise, strict=True), key=lambda x: (examples[x[0]].tag_set, examples[x[0]].fed * x[1], x[0])
    )
    result: list[list[int]] = []
    filled = 0
    for i, _ in order:
        n = examples[i].fed
        fresh = not result or examples[result[-1][0]].tag_set != examples[i].tag_set or filled + n > tokens
        if fresh:
            result.append([])
            filled = 0
        result[-1].append(i)
        filled += n
    rng.shuffle(result)
    return result


def plan(
    examples: Sequence[Batchable],
    sizes: Sequence[int],
    weights: Sequence[float],
    *,
    tokens: int,
    seed: int,
    count: int | None,
    epochs: float | None,
) -> list[list[int]]:
    """Yield the batches of a whole run.

    Args:
        examples: All examples, corpus after corpus.
        sizes: See ``drawn``.
        weights: See ``drawn``.
        tokens: Tokens a batch.
        seed: The same seed gives the same batches; another one an epoch follows from it.
        count: Batches in all; None to go by ``epochs``.
        epochs: Epochs in all.
    """

    def epoch(number: int) -> list[list[int]]:
        return batches(examples, drawn(sizes, weights, seed=seed + number), tokens=tokens, seed=seed + number)

    def endless() -> Iterator[list[int]]:
        number = 0
        while True:
            yield from epoch(number)
            number += 1

    if count is None:
        assert epochs is not None
        count = round(sum(len(epoch(n)) for n in range(math.ceil(epochs))) * epochs / math.ceil(epochs))
    return list(islice(endless(), count))
