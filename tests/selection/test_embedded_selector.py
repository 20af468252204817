"""The selector that comes with the package: small, whole, and it tells right from wrong in sentences of our own."""

import pytest

from llmner.mentions import Mention
from llmner.selection.selector import SelectionRequest, find_selector, load_selector, read_settings
from llmner.tagset import load_tag_set

LARGEST = 16 * 2**20  # bytes; it travels in the wheel
ENGLISH = "Metformin lowers blood glucose in patients with type 2 diabetes mellitus."
CHINESE = "患者有高血压和2型糖尿病，给予二甲双胍治疗。"
CANDIDATES = [  # sentence, tag set, string, type, whether it is right
    (ENGLISH, "bc5cdr", "Metformin", "Chemical", True),
    (ENGLISH, "bc5cdr", "type 2 diabetes mellitus", "Disease", True),
    (ENGLISH, "bc5cdr", "Metformin", "Disease", False),
    (ENGLISH, "bc5cdr", "lowers", "Chemical", False),
    (ENGLISH, "bc5cdr", "patients", "Disease", False),
    (ENGLISH, "bc5cdr", "type 2 diabetes", "Disease", False),
    (CHINESE, "cmeee_v2", "高血压", "dis", True),
    (CHINESE, "cmeee_v2", "2型糖尿病", "dis", True),
    (CHINESE, "cmeee_v2", "二甲双胍", "dru", True),
    (CHINESE, "cmeee_v2", "高血压", "dru", False),
    (CHINESE, "cmeee_v2", "给予", "pro", False),
    (CHINESE, "cmeee_v2", "治疗", "dru", False),
]


def test_it_is_small_and_knows_the_tag_sets_it_was_tuned_on():
    folder = find_selector()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= LARGEST
    settings = read_settings(folder)
    assert settings.base == "embedded"
    assert set(settings.tuned) == {"bc5cdr", "genia", "cmeee_v2"}
    assert settings.tuning("bc5cdr").calibration.logit > 0
    assert settings.tuning("of nobody") == settings.default


@pytest.mark.slow
def test_right_candidates_win_against_wrong_ones():
    settings = read_settings(find_selector())
    requests = [
        SelectionRequest(text, load_tag_set(name), tuple(mentions(text, name)))
        for text, name in ((ENGLISH, "bc5cdr"), (CHINESE, "cmeee_v2"))
    ]
    results = load_selector(device="cpu").judge(requests)
    for request, result in zip(requests, results, strict=True):
        assert result.error is None
        name, right = request.tag_set.name, [c[4] for c in CANDIDATES if c[0] == request.text]
        lowest = min(s for s, r in zip(result.scores, right, strict=True) if r)
        assert lowest > max(s for s, r in zip(result.scores, right, strict=True) if not r)
        spans = [(m.start, m.end, m.type) for m in request.candidates]
        assert settings.rules().kept(spans, result.scores, name) == right


def mentions(text: str, tag_set: str) -> list[Mention]:
    """The candidates of a sentence, of which the generator thinks all the same."""
    own = [c for c in CANDIDATES if c[:2] == (text, tag_set)]
    return [Mention(text.index(s), text.index(s) + len(s), kind, 0.7) for _, _, s, kind, _ in own]
