"""All figures of one corpus: scores by group with their intervals, mistakes by kind and type, the most frequent ones.

Groups of mentions: all; by type; by nesting; by the mention's length; by the sentence's length. Lengths are counted in
units (see ``tagging.units``): runs of letters or of digits, Chinese characters, and single other signs.

Invariant: each breakdown divides the same mentions, so the counts of its groups add up to those of all.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmner.evaluation.bootstrap import Intervals, Resamples
from llmner.evaluation.mistakes import KINDS, Frequent, Mistake, mistakes, most_frequent
from llmner.evaluation.scoring import ALL, Group, Score, Span, nesting, tally
from llmner.units import shown, split_units

# Names of the groups by the least length in each, in units.
_MENTION_LENGTHS = {1: "1", 2: "2", 3: "3", 4: "4–5", 6: "6–9", 10: "10 and more"}
_SENTENCE_LENGTHS = {1: "1–10", 11: "11–20", 21: "21–40", 41: "41–80", 81: "81 and more"}


@dataclass(frozen=True, slots=True)
class Measured:
    """A score and how far chance may have moved it."""

    score: Score
    intervals: Intervals

    def to_dict(self) -> dict[str, Any]:
        """Return rates, counts and intervals for JSON."""
        return {**self.score.to_dict(), "intervals": asdict(self.intervals)}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a comparison of predicted with gold mentions came to.

    Attributes:
        all: All mentions alike.
        by: By what mentions are grouped (``type``, ``nesting``, ``mention length``, ``sentence length``), the groups in
            the order in which they are best read. Groups without a mention are not there.
        mistakes: How many of each kind, by type; types without a mistake are not there.
        frequent: The most frequent mistakes.
    """

    all: Measured
    by: Mapping[str, Mapping[str, Measured]]
    mistakes: Mapping[str, Counter[str]]
    frequent: Sequence[Frequent]

    def to_dict(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return everything for JSON.

        Args:
            texts: The sentences.
        """
        return {
            "all": self.all.to_dict(),
            "by": {by: {name: m.to_dict() for name, m in groups.items()} for by, groups in self.by.items()},
            "mistakes": {type_: {kind: kinds[kind] for kind in KINDS} for type_, kinds in self.mistakes.items()},
            "frequent_mistakes": [_mistake(f, texts[f.sentence]) for f in self.frequent],
        }


def figures(
    texts: Sequence[str], gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str]
) -> Figures:
    """Compare predicted with gold mentions in every way.

    Args:
        texts: The sentences, at least one.
        gold: For each sentence its mentions as (start, end, type).
        predicted: The same for the predicted mentions.
        types: All types, in their order.

    Raises:
        ValueError: Not as many sentences in all three.
    """
    lengths = [_length(text) for text in texts]

    def groups(i: int, mention: Span, nested: bool) -> Iterator[Group]:
        start, end, type_ = mention
        yield ALL
        yield "type", type_
        yield nesting(nested)
        yield "mention length", _range(_length(texts[i][start:end]), _MENTION_LENGTHS)
        yield "sentence length", _range(lengths[i], _SENTENCE_LENGTHS)

    counted = tally(gold, predicted, groups)
    resamples = Resamples(len(texts))
    order = {
        "type": types,
        "nesting": [nesting(nested)[1] for nested in (False, True)],
        "mention length": [*_MENTION_LENGTHS.values()],
        "sentence length": [*_SENTENCE_LENGTHS.values()],
    }

    def measured(group: Group) -> Measured:
        return Measured(Score.of(counted[group]), resamples.intervals(counted[group]))

    made = [mistakes(g, p) for g, p in zip(gold, predicted, strict=True)]
    return Figures(
        all=measured(ALL),
        by={by: {name: measured((by, name)) for name in names if (by, name) in counted} for by, names in order.items()},
        mistakes=_by_type(made, types),
        frequent=most_frequent(texts, made),
    )


def _length(text: str) -> int:
    """Count the units that are not white space."""
    return sum(not unit.isspace() for unit in split_units(shown(text)))


def _range(length: int, ranges: Mapping[int, str]) -> str:
    return ranges[max((least for least in ranges if least <= length), default=min(ranges))]


def _by_type(made: Sequence[Sequence[Mistake]], types: Sequence[str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {type_: Counter() for type_ in types}
    for here in made:
        for mistake in here:
            counts[mistake.type][mistake.kind] += 1
    return {type_: kinds for type_, kinds in counts.items() if kinds}


def _mistake(frequent: Frequent, text: str) -> dict[str, Any]:
    """Return a frequent mistake for JSON: the first sentence it was made in, and its mentions there."""

    def mention(span: Span | None) -> dict[str, Any] | None:
        return span and {"start": span[0], "end": span[1], "type": span[2], "text": text[span[0] : span[1]]}

    m = frequent.mistake
    return {"times": frequent.times, "kind": m.kind, "gold": mention(m.gold), "predicted": mention(m.predicted)} | {
        "sentence": text
    }
