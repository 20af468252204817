"""Calibration and thresholds of a trained selector, fitted on a generator's candidates in dev sentences.

Invariant: what is reported was measured on sentences that neither calibration nor threshold had seen: both are
fitted on one half of a tag set's sentences and measured on the other, then the other way round; what is stored is
fitted on all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmner.selection.calibration import area_under_curve, best_threshold, calibration_error, fit
from llmner.selection.candidates import JudgedSentence
from llmner.selection.selector import SelectorSettings, Tuning

FOLDS = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """A dev sentence's candidates, judged.

    Attributes:
        sentence: The sentence.
        logits: For each candidate the selector's logit.
        scores: For each candidate the probability that it is right.
        kept: For each candidate whether it stays.
    """

    sentence: JudgedSentence
    logits: Sequence[float]
    scores: Sequence[float]
    kept: Sequence[bool]


def tune(
    sentences: Sequence[JudgedSentence], logits: Sequence[Sequence[float]], plain: SelectorSettings
) -> SelectorSettings:
    """Fit calibration and thresholds.

    Args:
        sentences: Dev sentences with candidates.
        logits: The selector's logits, for each candidate.
        plain: The settings so far; what is fitted here is replaced.

    Returns:
        The settings with ``default``, ``tuned`` and ``measured``.
    """
    tuned, measured = {}, {}
    for name in sorted({s.tag_set for s in sentences}):
        own = [i for i, s in enumerate(sentences) if s.tag_set == name]
        tuned[name] = _fitted(plain, [sentences[i] for i in own], [logits[i] for i in own])
        verdicts = []
        for fold in range(FOLDS):
            others = [i for n, i in enumerate(own) if n % FOLDS != fold]
            tuning = _fitted(plain, [sentences[i] for i in others], [logits[i] for i in others])
            verdicts += [_verdict(sentences[i], logits[i], plain, tuning) for i in own[fold::FOLDS]]
        measured[name] = figures(verdicts)
    default = _fitted(plain, sentences, logits)
    return plain.model_copy(update={"default": default, "tuned": tuned, "measured": measured})


def figures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return F1 of all and of kept candidates, area under the ROC curve by each evidence, and calibration error."""
    scores = [s for v in verdicts for s in v.scores]
    generator_scores = [m.score for v in verdicts for m in v.sentence.candidates]
    right = [r for v in verdicts for r in _right(v.sentence)]
    gold = sum(_gold(v.sentence) for v in verdicts)
    kept_right = [r for v in verdicts for r, k in zip(_right(v.sentence), v.kept, strict=True) if k]
    return {
        "sentences": len(verdicts),
        "candidates": len(right),
        "f1 of all candidates": round(_f1(right, gold), 4),
        "f1 of kept ones": round(_f1(kept_right, gold), 4),
        "auc": round(area_under_curve(scores, right), 4),
        "auc by the generator alone": round(area_under_curve(generator_scores, right), 4),
        "auc by the selector alone": round(area_under_curve([x for v in verdicts for x in v.logits], right), 4),
        "calibration error": round(calibration_error(scores, right), 4),
    }


def _fitted(plain: SelectorSettings, sentences: Sequence[JudgedSentence], logits: Sequence[Sequence[float]]) -> Tuning:
    """Fit calibration and threshold on these sentences."""
    right = [r for s in sentences for r in _right(s)]
    scores = [m.score for s in sentences for m in s.candidates]
    tuning = Tuning(calibration=fit([x for own in logits for x in own], scores, right), threshold=0.0)
    won = [_verdict(s, own, plain, tuning) for s, own in zip(sentences, logits, strict=True)]
    winners = [p for v in won for p, k in zip(v.scores, v.kept, strict=True) if k]
    threshold = best_threshold(winners, sum(map(_gold, sentences)))
    return tuning.model_copy(update={"threshold": threshold})


def _verdict(sentence: JudgedSentence, logits: Sequence[float], plain: SelectorSettings, tuning: Tuning) -> Verdict:
    """Judge a sentence's candidates as a selector with this tuning does."""
    scores = tuning.calibration.probabilities(logits, [m.score for m in sentence.candidates])
    spans = [(m.start, m.end, m.type) for m in sentence.candidates]
    return Verdict(sentence, logits, scores, plain.rules(tuning.threshold).kept(spans, scores, sentence.tag_set))


def _right(sentence: JudgedSentence) -> list[bool]:
    """Return for each candidate of a sentence whether it is gold."""
    gold = {(m.start, m.end, m.type) for m in sentence.gold}
    return [(m.start, m.end, m.type) in gold for m in sentence.candidates]


def _gold(sentence: JudgedSentence) -> int:
    return len({(m.start, m.end, m.type) for m in sentence.gold})


def _f1(right: Sequence[bool], gold: int) -> float:
    return 2 * sum(right) / (len(right) + gold) if right or gold else 0.0
