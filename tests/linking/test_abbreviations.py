import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.linking.abbreviations import abbreviations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patients with atrial fibrillation (AF) bled.", {"AF": "atrial fibrillation"}),
        ("The angiotensin-converting enzyme (ACE) gene", {"ACE": "angiotensin-converting enzyme"}),
        ("Given 5-fluorouracil (5-FU), they", {"5-FU": "5-fluorouracil"}),
        ("end-stage renal disease（ESRD）and more", {"ESRD": "end-stage renal disease"}),
        ("COPD (chronic obstructive pulmonary disease) is", {"COPD": "chronic obstructive pulmonary disease"}),
        ("signs of deep vein thrombosis (DVT; Table 1) were", {"DVT": "deep vein thrombosis"}),
        # The first definition counts, and no definition is made up.
        ("heart failure (HF) and hay fever (HF)", {"HF": "heart failure"}),
        ("in most of them (n = 12) and (see below)", {}),
        ("two drugs (ABC) were given", {}),
        ("(AF) begins a text", {}),
    ],
)
def test_definitions(text: str, expected: dict[str, str]) -> None:
    assert abbreviations(text) == expected


def test_a_chinese_long_form_is_the_mention_before_the_bracket() -> None:
    text = "检测C反应蛋白（CRP）和红细胞沉降率（ESR）及其他（XYZ）"
    names = ("反应蛋白", "C反应蛋白", "红细胞沉降率")
    spans = [(text.index(name), text.index(name) + len(name)) for name in names]
    assert abbreviations(text, spans) == {"CRP": "C反应蛋白", "ESR": "红细胞沉降率"}


@given(st.text(alphabet="ab AB(（)）,.;高血和-1", max_size=60))
def test_long_forms_are_stretches_of_the_text(text: str) -> None:
    for short, long in abbreviations(text).items():
        assert short
        assert "".join(long.split()) in "".join(text.replace("（", "(").replace("）", ")").split())
