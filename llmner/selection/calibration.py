"""From logits to probabilities, and from probabilities to a threshold, both by dev data.

Platt scaling (Platt 1999) with a second evidence: ``p = sigmoid(a * logit + b * log odds of the generator's score
+ c)``, fitted by maximum likelihood. With ``b = c = 0`` it is temperature scaling.
"""

from collections.abc import Sequence

import numpy as np

from llmner.settings import Settings

_RIDGE = 1e-3  # keeps the fit finite where the classes can be told apart without error
_STEPS = 50
_CLOSEST = 1e-4  # generator scores are kept so far from 0 and 1


class Calibration(Settings):
    """Weights of the evidence.

    Attributes:
        logit: Weight of the selector's logit.
        generator: Weight of the log odds of the generator's score.
        bias: Added to both.
    """

    logit: float = 1.0
    generator: float = 0.0
    bias: float = 0.0

    def probabilities(self, logits: Sequence[float], generator_scores: Sequence[float]) -> list[float]:
        """Return for each candidate the probability that it is right."""
        z = _evidence(logits, generator_scores) @ np.array([self.logit, self.generator, self.bias])
        return list(map(float, _sigmoid(z)))


def fit(logits: Sequence[float], generator_scores: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit to judged candidates by Newton's method."""
    x, y = _evidence(logits, generator_scores), np.asarray(right, dtype=float)
    start = np.array([1.0, 0.0, 0.0])
    w = start.copy()
    for _ in range(_STEPS):
        p = _sigmoid(x @ w)
        gradient = x.T @ (p - y) + _RIDGE * (w - start)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(3)
        step = np.linalg.solve(curvature, gradient)
        w -= step / max(1.0, float(np.abs(step).max()))  # at most 1 in each weight: far out the curvature is flat
        if np.abs(step).max() < 1e-8:
            break
    return Calibration(logit=float(w[0]), generator=float(w[1]), bias=float(w[2]))


def reliability(
    probabilities: Sequence[float], right: Sequence[bool], *, bins: int = 10
) -> list[tuple[float, float, int]]:
    """Return for each filled bin of equal width the mean probability, the share that is right, and the count."""
    p, y = np.asarray(probabilities, dtype=float), np.asarray(right, dtype=float)
    of = np.minimum((p * bins).astype(int), bins - 1)
    filled = [of == b for b in range(bins) if (of == b).any()]
    return [(float(p[b].mean()), float(y[b].mean()), int(b.sum())) for b in filled]


def calibration_error(probabilities: Sequence[float], right: Sequence[bool], *, bins: int = 10) -> float:
    """Return the expected calibration error: how far probability and share of right ones are apart, on average."""
    rows = reliability(probabilities, right, bins=bins)
    return sum(n * abs(p - share) for p, share, n in rows) / max(1, len(right))


def area_under_curve(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Return the probability that a right candidate scores above a wrong one; ties count half.

    Where one kind is missing it is 0.5.
    """
    ranks = np.searchsorted(np.sort(scores), scores, side="left") + np.searchsorted(
        np.sort(scores), scores, side="right"
    )
    positive = np.asarray(right, dtype=bool)
    rights, wrongs = int(positive.sum()), int((~positive).sum())
    if not rights or not wrongs:
        return 0.5
    # Mann-Whitney: of a candidate's rank, counted from a half, what other right ones do not account for.
    return float((ranks[positive].sum() / 2 - rights * rights / 2) / (rights * wrongs))


def best_threshold(probabilities: Sequence[float], gold: int) -> float:
    """Return the threshold with the best F1 that may be expected when candidates at or above it are kept.

    It is half of that F1 (Lipton, Elkan & Naryanaswamy 2014): a candidate earns ``2 p`` above the line and costs 1
    below it. Expectation by calibrated probabilities, where counting right ones would follow each accident of the
    dev data.

    Args:
        probabilities: Those of the candidates that won against their rivals.
        gold: Gold mentions in all, those without a candidate included.

    Returns:
        Threshold, from 0 to 1; 0.5 without candidates.
    """
    p = np.sort(np.asarray(probabilities, dtype=float))[::-1]
    if not len(p):
        return 0.5
    f1 = 2 * np.cumsum(p) / (np.arange(1, len(p) + 1) + gold)
    return float(f1.max()) / 2


def _evidence(logits: Sequence[float], generator_scores: Sequence[float]) -> np.ndarray:
    score = np.clip(np.asarray(generator_scores, dtype=float), _CLOSEST, 1 - _CLOSEST)
    return np.stack([np.asarray(logits, dtype=float), np.log(score / (1 - score)), np.ones(len(score))], axis=1)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(z / 2))
