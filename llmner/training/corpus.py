"""Annotated sentences as training examples, and examples as batches.

Invariant: an example's target is a sequence the grammar admits; mentions that cannot be written (crossing,
off the unit edges) are left out and counted, never bent.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmner.annotations import AnnotatedSentence
from llmner.tagging.grammar import MAX_DEPTH, Cursor, Vocabulary, write
from llmner.tagging.units import TokenisedText, shown
from llmner.tagset import TagSet


@dataclass(frozen=True, slots=True)
class Decision:
    """A place where the grammar leaves a choice.

    Attributes:
        position: The token after which to choose, an index into the example's tokens.
        allowed: What the grammar allows there, at least two tokens.
        chosen: Index into ``allowed`` of what the annotation says.
    """

    position: int
    allowed: tuple[int, ...]
    chosen: int


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence ready for training: what follows the prompt's prefix, without the end token."""

    tag_set: str
    tokens: tuple[int, ...]
    decisions: tuple[Decision, ...]


def writable(
    sentence: AnnotatedSentence, source: TokenisedText, tag_set: TagSet
) -> tuple[dict[int, list[tuple[int, int]]], Counter]:
    """The mentions of a sentence as unit spans by type, as far as they can be written.

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
        others = spans.setdefault(index[m.type], [])
        if any(a < first < b < last for a, b in others):
            left_out["crossing"] += 1
        elif sum(b >= last for a, b in others if (a, b) != (first, last)) >= MAX_DEPTH:
            left_out["too deep"] += 1
        elif (first, last) not in others:
            others.append((first, last))
    return spans, left_out


def example(
    tag_set: str,
    source: TokenisedText,
    spans: dict[int, list[tuple[int, int]]],
    vocabulary: Vocabulary,
    suffix: Sequence[int],
) -> Example:
    """The training example of a sentence: its tokens, and the decisions in its tagged text."""
    target = write(source, spans, vocabulary)
    cursor = Cursor(source, vocabulary)
    prompt = [*source.tokens, *suffix]
    decisions = []
    for i, token in enumerate(target):
        allowed = cursor.allowed()
        if len(allowed) > 1:
            decisions.append(Decision(len(prompt) + i - 1, allowed, allowed.index(token)))
        cursor.advance(token)
    return Example(tag_set, (*prompt, *target[:-1]), tuple(decisions))


def batches(examples: Sequence[Example], *, tokens: int, seed: int) -> list[list[int]]:
    """Indices of the examples of one epoch, in batches.

    A batch has one tag set, examples of like length and about ``tokens`` tokens, prefix not counted.

    Args:
        examples: All examples.
        tokens: Tokens a batch.
        seed: Of the shuffle; the same seed gives the same batches.
    """
    rng = random.Random(seed)
    # A little noise on the length, so that batches differ between epochs.
    order = sorted(
        range(len(examples)), key=lambda i: (examples[i].tag_set, len(examples[i].tokens) * rng.uniform(0.9, 1.1))
    )
    result: list[list[int]] = []
    filled = 0
    for i in order:
        n = len(examples[i].tokens)
        fresh = not result or examples[result[-1][0]].tag_set != examples[i].tag_set or filled + n > tokens
        if fresh:
            result.append([])
            filled = 0
        result[-1].append(i)
        filled += n
    rng.shuffle(result)
    return result


def endless_batches(examples: Sequence[Example], *, tokens: int, seed: int, skip: int = 0) -> Iterator[list[int]]:
    """Batches of epoch after epoch, from the batch with index ``skip`` on."""
    epoch = 0
    while True:
        for batch in batches(examples, tokens=tokens, seed=seed + epoch):
            if skip:
                skip -= 1
            else:
                yield batch
        epoch += 1
