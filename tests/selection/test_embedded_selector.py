"""The selectors that come with the package: small, whole, and they tell right from wrong in sentences of our own."""

from pathlib import Path

import pytest

from llmner.mentions import Mention
from llmner.selection.loading import load_selector
from llmner.selection.selector import SelectionRequest, read_settings, selector_spec
from llmner.tagset import load_tag_set

READING = "embedded_second_reading"
LARGEST = 16 * 2**20  # bytes; it travels in the wheel
ENGLISH = "Metformin lowers blood glucose in patients with type 2 diabetes mellitus."
CHINESE = "患者有高血压和2型糖尿病，给予二甲双胍治疗。"
CANDIDATES = {  # by sentence and tag set: string, type, whether it is right
    (ENGLISH, "bc5cdr"): [
        ("Metformin", "Chemical", True),
        ("type 2 diabetes mellitus", "Disease", True),
        ("Metformin", "Disease", False),
        ("lowers", "Chemical", False),
        ("patients", "Disease", False),
        ("type 2 diabetes", "Disease", False),
    ],
    (CHINESE, "cmeee_v2"): [
        ("高血压", "dis", True),
        ("2型糖尿病", "dis", True),
        ("二甲双胍", "dru", True),
        ("高血压", "dru", False),
        ("给予", "pro", False),
        ("治疗", "dru", False),
    ],
}


def test_it_is_small_and_knows_the_tag_sets_it_was_tuned_on():
    folder = selector_spec(READING).folder
    assert sum(file.stat().st_size for file in Path(folder).iterdir()) <= LARGEST
    settings = read_settings(folder)
    assert settings.base == "embedded"
    assert set(settings.tuned) == {"bc5cdr", "genia", "cmeee_v2", "ncbi_disease"}
    assert settings.tuning("bc5cdr").calibration.weights["logit"] > 0
    assert settings.tuning("of nobody") == settings.default


@pytest.mark.slow
def test_right_candidates_win_against_wrong_ones():
    settings = read_settings(selector_spec(READING).folder)
    requests = [
        # The generator thinks the same of all of them.
        SelectionRequest(
            text,
            load_tag_set(name),
            tuple(Mention(text.index(s), text.index(s) + len(s), kind, 0.7) for s, kind, _ in own),
        )
        for (text, name), own in CANDIDATES.items()
    ]
    results = load_selector(selector_spec(READING), device="cpu").judge(requests)
    for request, result, own in zip(requests, results, CANDIDATES.values(), strict=True):
        assert result.error is None
        right = [r for _, _, r in own]
        lowest = min(s for s, r in zip(result.scores, right, strict=True) if r)
        assert lowest > max(s for s, r in zip(result.scores, right, strict=True) if not r)
        spans = [(m.start, m.end, m.type) for m in request.candidates]
        assert settings.rules().kept(spans, result.scores, request.tag_set.name) == right
