"""Calibration and threshold of a trained selector, by a generator's candidates on dev sentences.

Invariant: what is reported was measured on sentences that neither calibration nor threshold had seen: both are
fitted on one half of the sentences and measured on the other, then the other way round; what is stored is fitted on
all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmner.mentions import Mention
from llmner.selection.calibration import area_under_curve, best_threshold, calibration_error, fit
from llmner.selection.candidates import JudgedSentence
from llmner.selection.competition import Nesting, kept
from llmner.selection.selector import SelectorSettings

FOLDS = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """A dev sentence's candidates, judged.

    Attributes:
        sentence: The sentence.
        scores: For each candidate the probability that it is right.
        kept: For each candidate whether it stays.
    """

    sentence: JudgedSentence
    scores: tuple[float, ...]
    kept: tuple[bool, ...]

    @property
    def right(self) -> list[bool]:
        """For each candidate whether it is gold."""
        return right_ones(self.sentence)

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The candidates that stay."""
        return tuple(m for m, k in zip(self.sentence.candidates, self.kept, strict=True) if k)


def right_ones(sentence: JudgedSentence) -> list[bool]:
    """For each candidate of a sentence whether it is gold."""
    gold = {(m.start, m.end, m.type) for m in sentence.gold}
    return [(m.start, m.end, m.type) in gold for m in sentence.candidates]


def tune(
    sentences: Sequence[JudgedSentence],
    logits: Sequence[Sequence[float]],
    *,
    base: str,
    nesting: Mapping[str, tuple[Nesting, ...]],
) -> tuple[SelectorSettings, list[Verdict]]:
    """Fit calibration and threshold.

    Args:
        sentences: Dev sentences with candidates.
        logits: The selector's, for each candidate.
        base: See ``SelectorSettings``.
        nesting: See ``SelectorSettings``.

    Returns:
        The settings, and for each sentence what a selector tuned on the other half makes of it.
    """
    plain = SelectorSettings(base=base, nesting=dict(nesting))
    verdicts: list[Verdict | None] = [None] * len(sentences)
    for fold in range(FOLDS):
        own = range(fold, len(sentences), FOLDS)
        others = [i for i in range(len(sentences)) if i % FOLDS != fold]
        settings = _fitted(plain, [sentences[i] for i in others], [logits[i] for i in others])
        for i in own:
            verdicts[i] = verdict(sentences[i], logits[i], settings)
    judged = [v for v in verdicts if v is not None]
    settings = _fitted(plain, sentences, logits)
    return settings.model_copy(update={"measured": figures(judged)}), judged


def verdict(sentence: JudgedSentence, logits: Sequence[float], settings: SelectorSettings) -> Verdict:
    """What a selector makes of a sentence's candidates."""
    scores = settings.calibration.probabilities(logits, [m.score for m in sentence.candidates])
    spans = [(m.start, m.end, m.type) for m in sentence.candidates]
    stay = kept(spans, scores, nesting=settings.nesting_in(sentence.tag_set), threshold=settings.threshold)
    return Verdict(sentence, tuple(scores), tuple(stay))


def figures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """F1 of all candidates and of those that stay, area under the ROC curve, calibration error."""
    scores = [s for v in verdicts for s in v.scores]
    right = [r for v in verdicts for r in v.right]
    gold = sum(len({(m.start, m.end, m.type) for m in v.sentence.gold}) for v in verdicts)
    kept_right = [r for v in verdicts for r, k in zip(v.right, v.kept, strict=True) if k]
    return {
        "sentences": len(verdicts),
        "candidates": len(right),
        "f1 of all candidates": round(_f1(right, gold), 4),
        "f1 of kept ones": round(_f1(kept_right, gold), 4),
        "auc": round(area_under_curve(scores, right), 4),
        "calibration error": round(calibration_error(scores, right), 4),
    }


def _fitted(
    plain: SelectorSettings, sentences: Sequence[JudgedSentence], logits: Sequence[Sequence[float]]
) -> SelectorSettings:
    """The settings with calibration and threshold by these sentences."""
    right = [r for s in sentences for r in right_ones(s)]
    scores = [m.score for s in sentences for m in s.candidates]
    calibration = fit([x for own in logits for x in own], scores, right)
    settings = plain.model_copy(update={"calibration": calibration, "threshold": 0.0})
    won = [verdict(s, own, settings) for s, own in zip(sentences, logits, strict=True)]
    pairs = [(p, r) for v in won for p, r, k in zip(v.scores, v.right, v.kept, strict=True) if k]
    gold = sum(len({(m.start, m.end, m.type) for m in s.gold}) for s in sentences)
    threshold, _ = best_threshold([p for p, _ in pairs], [r for _, r in pairs], gold)
    return settings.model_copy(update={"threshold": threshold})


def _f1(right: Sequence[bool], gold: int) -> float:
    return 2 * sum(right) / (len(right) + gold) if right or gold else 0.0
