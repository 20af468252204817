"""From evidence to probabilities, and from probabilities to a threshold, both by dev data.

Platt scaling (Platt 1999) with any number of evidences: ``p = sigmoid(weights . evidence + bias)``, fitted by maximum
likelihood. With the logit of a model alone, and no bias, it is temperature scaling.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llmner.settings import Settings

_RIDGE = 1e-3  # keeps the fit finite where the classes can be told apart without error
_STEPS = 50
_CLOSEST = 1e-4  # scores are kept so far from 0 and 1

Evidence = Mapping[str, Sequence[float]]  # by name, for each candidate


class Calibration(Settings):
    """Weights of the evidence.

    Attributes:
        weights: By name of the evidence; what is not named does not count.
        bias: Added to it.
    """

    weights: Mapping[str, float] = {}
    bias: float = 0.0

    def probabilities(self, evidence: Evidence) -> list[float]:
        """Return for each candidate the probability that it is right.

        Args:
            evidence: With all names that have a weight.
        """
        x = _columns(evidence, list(self.weights))
        return list(map(float, _sigmoid(x @ np.array([*self.weights.values(), self.bias]))))


def fit(
    evidence: Evidence, right: Sequence[bool], *, prior: Calibration | None = None, ridge: float = _RIDGE
) -> Calibration:
    """Fit to judged candidates by Newton's method.

    Args:
        evidence: Of the candidates, in the order of importance.
        right: For each candidate whether it is right.
        prior: What the weights are drawn to; by default the first evidence with weight 1, and nothing else.
        ridge: How strongly they are.
    """
    names = list(evidence)
    prior = prior or Calibration(weights={names[0]: 1.0})
    start = np.array([*(prior.weights.get(name, 0.0) for name in names), prior.bias])
    x, y, w = _columns(evidence, names), np.asarray(right, dtype=float), start.copy()
    for _ in range(_STEPS):
        p = _sigmoid(x @ w)
        gradient = x.T @ (p - y) + ridge * (w - start)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(w))
        step = np.linalg.solve(curvature, gradient)
        w -= step / max(1.0, float(np.abs(step).max()))  # at most 1 in each weight: far out the curvature is flat
        if np.abs(step).max() < 1e-8:
            break
    return Calibration(weights=dict(zip(names, map(float, w[:-1]), strict=True)), bias=float(w[-1]))


def log_odds(score: float) -> float:
    """Return the log odds of a probability, which is kept a little away from 0 and 1."""
    p = min(max(score, _CLOSEST), 1 - _CLOSEST)
    return math.log(p / (1 - p))


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


def _columns(evidence: Evidence, names: Sequence[str]) -> np.ndarray:
    """Return the evidence of these names, and ones behind it: ``(candidates, names + 1)``."""
    columns = [np.asarray(evidence[name], dtype=float) for name in names]
    count = len(next(iter(evidence.values())))
    return np.stack([*columns, np.ones(count)], axis=1)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(z / 2))
