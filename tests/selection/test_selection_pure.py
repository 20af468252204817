"""Losses, calibration, threshold and competition against their definitions."""

import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmner.selection.calibration import (
    Calibration,
    best_threshold,
    calibration_error,
    fit,
    log_odds,
    reliability,
)
from llmner.selection.competition import ANY_NESTING, Rules, kept, nesting_of
from llmner.selection.loss import contrastive_loss, selection_loss

LOGITS = torch.tensor([2.0, -1.0, 0.5, 3.0, 0.1, -2.0])
POSITIVE = [True, False, False, True, False, False]
GROUPS = [0, 0, 0, 1, 1, None]


def test_contrastive_loss_is_infonce_inside_each_group():
    expected = 0.0
    for p, negatives in ((2.0, (-1.0, 0.5)), (3.0, (0.1,))):
        expected -= math.log(math.exp(p) / (math.exp(p) + sum(map(math.exp, negatives)))) / 2
    assert float(contrastive_loss(LOGITS, POSITIVE, GROUPS)) == pytest.approx(expected, rel=1e-5)
    shuffled = [4, 2, 5, 0, 3, 1]
    again = contrastive_loss(LOGITS[shuffled], [POSITIVE[i] for i in shuffled], [GROUPS[i] for i in shuffled])
    assert float(again) == pytest.approx(expected, rel=1e-5)


def test_only_rivals_are_pushed_by_the_contrastive_loss():
    logits = LOGITS.clone().requires_grad_()
    [gradient] = torch.autograd.grad(contrastive_loss(logits, POSITIVE, GROUPS), logits)
    assert gradient[5] == 0
    assert (gradient[torch.tensor(POSITIVE)] < 0).all()
    assert float(contrastive_loss(LOGITS, [False] * 6, GROUPS)) == 0.0
    assert float(contrastive_loss(LOGITS, POSITIVE, [None] * 6)) == 0.0


def test_selection_loss_is_the_sum():
    bce = -sum(math.log(1 / (1 + math.exp(-z if p else z))) for z, p in zip(LOGITS.tolist(), POSITIVE, strict=True)) / 6
    assert float(selection_loss(LOGITS, POSITIVE, GROUPS, contrastive=0)) == pytest.approx(bce, rel=1e-5)
    both = bce + 0.5 * float(contrastive_loss(LOGITS, POSITIVE, GROUPS))
    assert float(selection_loss(LOGITS, POSITIVE, GROUPS, contrastive=0.5)) == pytest.approx(both, rel=1e-5)


def test_a_fit_finds_the_weights_that_made_the_data():
    rng = random.Random(5)
    true = Calibration(weights={"logit": 0.5, "generator": 0.8}, bias=-0.3)
    evidence = {"logit": [rng.gauss(0, 3) for _ in range(20_000)]}
    evidence["generator"] = [log_odds(rng.random()) for _ in evidence["logit"]]
    right = [rng.random() < p for p in true.probabilities(evidence)]
    fitted = fit(evidence, right)
    assert fitted.weights == pytest.approx(true.weights, abs=0.05)
    assert fitted.bias == pytest.approx(-0.3, abs=0.05)
    assert calibration_error(fitted.probabilities(evidence), right) < 0.02
    assert calibration_error(Calibration(weights={"logit": 1.0}).probabilities(evidence), right) > 0.05
    few = {name: column[:40] for name, column in evidence.items()}
    drawn = fit(few, right[:40], prior=true, ridge=1e6)
    assert drawn.weights == pytest.approx(true.weights, abs=1e-3)


def test_a_fit_stays_finite_without_errors_or_data():
    separable = fit({"logit": [-2.0, -1.0, 1.0, 2.0]}, [False, False, True, True])
    assert math.isfinite(separable.weights["logit"])
    assert math.isfinite(separable.bias)
    assert separable.probabilities({"logit": [2.0]})[0] > 0.95
    assert fit({"logit": [], "generator": []}, []).weights == {"logit": 1.0, "generator": 0.0}


def test_reliability_by_bins():
    rows = reliability([0.05, 0.06, 0.95, 1.0], [False, True, True, True])
    assert [(round(p, 3), share, n) for p, share, n in rows] == [(0.055, 0.5, 2), (0.975, 1.0, 2)]
    assert calibration_error([0.05, 0.06, 0.95, 1.0], [False, True, True, True]) == pytest.approx(0.235)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=12), st.integers(0, 20))
def test_no_other_threshold_has_a_better_expected_f1(p, gold):
    def f1(threshold: float) -> float:
        stay = [q for q in p if q >= threshold]
        return 2 * sum(stay) / (len(stay) + gold) if stay else 0.0

    best = f1(best_threshold(p, gold) - 1e-12)
    assert all(f1(t) <= best + 1e-9 for t in [*p, *np.linspace(0, 1, 41)])


def test_without_candidates_there_is_a_threshold():
    assert best_threshold([], 3) == 0.5


spans = st.builds(lambda a, n, t: (a, a + n, t), st.integers(0, 8), st.integers(1, 5), st.sampled_from("xy"))


@given(
    st.lists(st.tuples(spans, st.floats(0, 1)), max_size=8, unique_by=lambda c: c[0]),
    st.sets(st.sampled_from(ANY_NESTING)),
)
def test_a_threshold_only_cuts_the_winners(candidates, nesting):
    s, scores = [c[0] for c in candidates], [c[1] for c in candidates]
    winners = kept(s, scores, nesting=nesting, threshold=0.0)
    for threshold in (0.3, 0.7):
        cut = [w and score >= threshold for w, score in zip(winners, scores, strict=True)]
        assert kept(s, scores, nesting=nesting, threshold=threshold) == cut
    # Each loser has a better winner that overlaps it.
    for i, won in enumerate(winners):
        if not won:
            assert any(w and scores[j] >= scores[i] and s[j][0] < s[i][1] and s[i][0] < s[j][1]
                       for j, w in enumerate(winners) if j != i)  # fmt: skip


def test_who_competes():
    def survivors(nesting, *candidates):
        stay = kept([c[0] for c in candidates], [c[1] for c in candidates], nesting=nesting, threshold=0.1)
        return [c[0] for c, k in zip(candidates, stay, strict=True) if k]

    crossing = [((0, 5, "x"), 0.6), ((3, 8, "y"), 0.7)]
    assert survivors(ANY_NESTING, *crossing) == [(3, 8, "y")]
    equal = [((0, 5, "x"), 0.6), ((0, 5, "y"), 0.5)]
    assert survivors(ANY_NESTING, *equal) == [(0, 5, "x")]
    nested = [((0, 5, "x"), 0.6), ((0, 3, "x"), 0.5), ((3, 5, "y"), 0.4), ((9, 10, "y"), 0.05)]
    assert survivors(ANY_NESTING, *nested) == [(0, 5, "x"), (0, 3, "x"), (3, 5, "y")]
    assert survivors(["other type"], *nested) == [(0, 5, "x"), (3, 5, "y")]
    assert survivors([], *nested) == [(0, 5, "x")]


def test_nesting_is_read_off_the_annotation():
    assert nesting_of([[(0, 4, "x"), (5, 9, "x")], [(0, 4, "x"), (2, 6, "x")], [(0, 4, "x"), (0, 4, "y")]]) == ()
    assert nesting_of([[(0, 4, "x"), (1, 4, "x")]]) == ("same type",)
    assert nesting_of([[(0, 4, "x"), (5, 9, "y"), (0, 2, "y")], [(3, 9, "x"), (3, 4, "x")]]) == ANY_NESTING


def test_rules_go_by_tag_set():
    spans, scores = [(0, 5, "x"), (0, 3, "x")], [0.6, 0.4]
    rules = Rules(0.5, {"low": 0.3, "flat": 0.3}, {"flat": ()})
    assert rules.kept(spans, scores, "other") == [True, False]
    assert rules.kept(spans, scores, "low") == [True, True]
    assert rules.kept(spans, scores, "flat") == [True, False]
