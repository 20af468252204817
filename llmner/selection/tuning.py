"""Calibration and thresholds of a selector, fitted on a generator's candidates in dev sentences.

Invariant: what is reported was measured on documents that neither calibration nor threshold had seen: both are fitted
on one half of them and measured on the other, then the other way round; what is stored is fitted on all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmner.selection.calibration import (
    Calibration,
    Evidence,
    area_under_curve,
    best_threshold,
    calibration_error,
    fit,
)
from llmner.selection.candidates import JudgedSentence
from llmner.selection.selector import SelectorSettings, Tuning

FOLDS = 2
# How strongly the weights for a tag set are drawn to those for all, so that a small corpus is no worse off than none:
# on dev documents not fitted to, 1 to 100 gave the same F1 within half a point, and 10 was best.
_RIDGE = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A dev sentence's candidates, judged.

    Attributes:
        sentence: The sentence.
        evidence: Of its candidates.
        scores: For each candidate the probability that it is right.
        kept: For each candidate whether it stays.
    """

    sentence: JudgedSentence
    evidence: Evidence
    scores: Sequence[float]
    kept: Sequence[bool]


def tune(
    sentences: Sequence[JudgedSentence], evidence: Sequence[Evidence], plain: SelectorSettings
) -> SelectorSettings:
    """Fit calibration and thresholds.

    Args:
        sentences: Dev sentences with candidates.
        evidence: For each that of its candidates.
        plain: The settings so far; what is fitted here is replaced.

    Returns:
        The settings with ``default``, ``tuned`` and ``measured``.
    """
    names = sorted({s.tag_set for s in sentences})
    fold_of = _folds(sentences)
    verdicts: dict[str, list[Verdict]] = {name: [] for name in names}
    for fold in range(FOLDS):
        there = [i for i, f in enumerate(fold_of) if f != fold]
        _, tuned = _fitted_for_each([sentences[i] for i in there], [evidence[i] for i in there], plain)
        for s, own, f in zip(sentences, evidence, fold_of, strict=True):
            if f == fold and s.tag_set in tuned:
                verdicts[s.tag_set].append(_verdict(s, own, plain, tuned[s.tag_set]))
    default, tuned = _fitted_for_each(sentences, evidence, plain)
    measured = {name: figures(verdicts[name]) for name in names}
    return plain.model_copy(update={"default": default, "tuned": tuned, "measured": measured})


def figures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return F1 of all and of kept candidates, area under the ROC curve by each evidence, and calibration error."""
    scores = [s for v in verdicts for s in v.scores]
    generator_scores = [m.score for v in verdicts for m in v.sentence.candidates]
    right = [r for v in verdicts for r in _right(v.sentence)]
    gold = sum(_gold(v.sentence) for v in verdicts)
    found = [r for v in verdicts for m, r in zip(v.sentence.candidates, _right(v.sentence), strict=True) if m.written]
    kept_right = [r for v in verdicts for r, k in zip(_right(v.sentence), v.kept, strict=True) if k]
    result = {
        "sentences": len(verdicts),
        "candidates": len(right),
        "f1 of all candidates": round(_f1(found, gold), 4),
        "f1 of kept ones": round(_f1(kept_right, gold), 4),
        "auc": round(area_under_curve(scores, right), 4),
        "auc by the generator alone": round(area_under_curve(generator_scores, right), 4),
        "calibration error": round(calibration_error(scores, right), 4),
    }
    logits = [x for v in verdicts for x in v.evidence.get("logit", ())]
    return result | ({"auc by the selector alone": round(area_under_curve(logits, right), 4)} if logits else {})


def _folds(sentences: Sequence[JudgedSentence]) -> list[int]:
    """Return the fold of each sentence; those of a document share it."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(s.document, len(numbers)) % FOLDS for s in sentences]


def _fitted_for_each(
    sentences: Sequence[JudgedSentence], evidence: Sequence[Evidence], plain: SelectorSettings
) -> tuple[Tuning, dict[str, Tuning]]:
    """Fit to all sentences, and to those of each tag set."""
    default = _fitted(sentences, evidence, plain, None)
    tuned = {}
    for name in sorted({s.tag_set for s in sentences}):
        own = [i for i, s in enumerate(sentences) if s.tag_set == name]
        tuned[name] = _fitted([sentences[i] for i in own], [evidence[i] for i in own], plain, default.calibration)
    return default, tuned


def _fitted(
    sentences: Sequence[JudgedSentence],
    evidence: Sequence[Evidence],
    plain: SelectorSettings,
    prior: Calibration | None,
) -> Tuning:
    """Fit calibration and threshold on these sentences."""
    right = [r for s in sentences for r in _right(s)]
    together = {name: [x for own in evidence for x in own[name]] for name in evidence[0]}
    calibration = fit(together, right, prior=prior, ridge=_RIDGE) if prior else fit(together, right)
    tuning = Tuning(calibration=calibration, threshold=0.0)
    won = [_verdict(s, own, plain, tuning) for s, own in zip(sentences, evidence, strict=True)]
    winners = [p for v in won for p, k in zip(v.scores, v.kept, strict=True) if k]
    threshold = best_threshold(winners, sum(map(_gold, sentences)))
    return tuning.model_copy(update={"threshold": threshold})


def _verdict(sentence: JudgedSentence, evidence: Evidence, plain: SelectorSettings, tuning: Tuning) -> Verdict:
    """Judge a sentence's candidates as a selector with this tuning does."""
    scores = tuning.calibration.probabilities(evidence)
    spans = [(m.start, m.end, m.type) for m in sentence.candidates]
    return Verdict(sentence, evidence, scores, plain.rules(tuning.threshold).kept(spans, scores, sentence.tag_set))


def _right(sentence: JudgedSentence) -> list[bool]:
    """Return for each candidate of a sentence whether it is gold."""
    gold = {(m.start, m.end, m.type) for m in sentence.gold}
    return [(m.start, m.end, m.type) in gold for m in sentence.candidates]


def _gold(sentence: JudgedSentence) -> int:
    return len({(m.start, m.end, m.type) for m in sentence.gold})


def _f1(right: Sequence[bool], gold: int) -> float:
    return 2 * sum(right) / (len(right) + gold) if right or gold else 0.0
