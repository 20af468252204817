"""What a selector earns: a generator's evaluation with and without it, its ranking, its calibration and its price.

Invariant: both evaluations are of the same sentences and candidates, so they are compared pair by pair.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmner.evaluation.bootstrap import Comparison, compare
from llmner.evaluation.evaluate import REPORTED, Evaluation
from llmner.evaluation.scoring import Span, count
from llmner.mentions import Mention
from llmner.selection.calibration import area_under_curve, calibration_error, reliability
from llmner.selection.selector import SelectionRequest, SelectionResult, Selector, SelectorSettings
from llmner.tagging.engine import TaggingResult


@dataclass(frozen=True)
class Selected:
    """A selector's part in an evaluation.

    Attributes:
        before: The evaluation of the generator alone.
        results: What is kept, sentence by sentence.
        candidates: For each sentence what was judged: what the generator found, and what the selector proposed.
        scores: For each sentence the scores of its candidates.
        winners: For each sentence which of them win against their rivals.
        threshold: Winners below it are left out.
        seconds: Time of the selector alone.
    """

    before: Evaluation
    results: Sequence[TaggingResult]
    candidates: Sequence[Sequence[Mention]]
    scores: Sequence[Sequence[float]]
    winners: Sequence[Sequence[bool]]
    threshold: float
    seconds: float

    @cached_property
    def evaluation(self) -> Evaluation:
        """Generator and selector together."""
        before = self.before
        name, seconds = f"{before.corpus}, with selector", before.seconds + self.seconds
        return Evaluation(name, before.tag_set, before.sentences, self.results, seconds, self)

    @cached_property
    def comparison(self) -> Comparison:
        """F1 with the selector against F1 without."""
        gold = self.before.gold
        return compare(count(gold, self.before.predicted), count(gold, self.evaluation.predicted))

    @cached_property
    def judged(self) -> tuple[list[float], list[bool]]:
        """Score of each candidate, and whether it is gold."""
        right = [r for own in self._right for r in own]
        return [s for own in self.scores for s in own], right

    @property
    def calibration_error(self) -> float:
        """See ``calibration.calibration_error``."""
        return calibration_error(*self.judged)

    @property
    def area_under_curve(self) -> float:
        """See ``calibration.area_under_curve``."""
        return area_under_curve(*self.judged)

    @property
    def reliability(self) -> list[tuple[float, float, int]]:
        """See ``calibration.reliability``."""
        return reliability(*self.judged)

    @property
    def curve(self) -> list[tuple[float, float]]:
        """Recall and precision at each threshold, from the highest to the lowest."""
        pairs = [
            (s, r)
            for scores, own, right in zip(self.scores, self.winners, self._right, strict=True)
            for s, won, r in zip(scores, own, right, strict=True)
            if won
        ]
        gold = sum(len(set(spans)) for spans in self.before.gold)
        found, points = 0, []
        for n, (_, right) in enumerate(sorted(pairs, key=lambda p: -p[0]), 1):
            found += right
            points.append((found / max(1, gold), found / n))
        return points

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for a JSON file."""
        compared, interval = self.comparison, self.comparison.interval
        return {
            "threshold": self.threshold,
            "candidates": len(self.judged[0]),
            "seconds": round(self.seconds, 3),
            "generator_seconds": round(self.before.seconds, 3),
            "f1_difference": {
                "value": compared.difference, "low": interval.low, "high": interval.high, "p": compared.p
            },
            "calibration_error": self.calibration_error,
            "area_under_curve": self.area_under_curve,
        }  # fmt: skip

    @cached_property
    def _right(self) -> list[list[bool]]:
        gold = [set(spans) for spans in self.before.gold]
        return [
            [m in own for m in _spans(candidates)] if scores else []
            for own, candidates, scores in zip(gold, self.candidates, self.scores, strict=True)
        ]


def select(
    selector: Selector,
    settings: SelectorSettings,
    evaluation: Evaluation,
    *,
    progress: Callable[[int, int], None] = lambda done, all: None,
) -> Selected:
    """Let a selector judge what a generator found.

    Args:
        selector: Judges the mentions.
        settings: The selector's thresholds, and what may nest.
        evaluation: The generator's evaluation.
        progress: Called with the number of sentences that are judged, and of all.
    """
    name = evaluation.tag_set.name
    threshold = settings.tuning(name).threshold
    rules = settings.rules(threshold=0.0)
    requests = [
        SelectionRequest(s.text, evaluation.tag_set, r.mentions, s.doc_id)
        for s, r in zip(evaluation.sentences, evaluation.results, strict=True)
    ]
    started = time.perf_counter()
    answers: list[SelectionResult] = []
    for part in _parts(requests):
        answers += selector.judge(part)
        progress(len(answers), len(requests))
    seconds = time.perf_counter() - started
    candidates, scores, winners, results = [], [], [], []
    for before, request, answer in zip(evaluation.results, requests, answers, strict=True):
        candidates.append((*request.candidates, *(m for m, _ in answer.repeats)) if answer.error is None else ())
        scores.append((*answer.scores, *(score for _, score in answer.repeats)))
        winners.append(rules.kept(_spans(candidates[-1]), scores[-1], name))
        judged = zip(candidates[-1], scores[-1], winners[-1], strict=True)
        stay = sorted((m for m, score, won in judged if won and score >= threshold), key=lambda m: (m.start, -m.end))
        error = before.error or answer.error
        results.append(TaggingResult(tuple(stay), before.source_tokens, before.fed_tokens, error))
    return Selected(evaluation, results, candidates, scores, winners, threshold, seconds)


def _parts(requests: Sequence[SelectionRequest]) -> Iterator[list[SelectionRequest]]:
    """Yield requests in parts of some ``REPORTED``; the sentences of a document stay together."""
    part: list[SelectionRequest] = []
    for request in requests:
        if len(part) >= REPORTED and not (request.document and request.document == part[-1].document):
            yield part
            part = []
        part.append(request)
    if part:
        yield part


def _spans(mentions: Sequence[Mention]) -> list[Span]:
    return [(m.start, m.end, m.type) for m in mentions]
