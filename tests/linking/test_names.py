import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmner.linking.names import Forms, forms


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Beta-Blockers", Forms("beta-blockers", "beta blockers", "beta blocker")),
        ("ＴＮＦ－α", Forms("tnf-α", "tnf α", "tnf α")),  # full width
        ("N,N'-dimethyl (x)", Forms("n,n'-dimethyl (x)", "n n dimethyl x", "n n dimethyl x")),
        ("allergies", Forms("allergies", "allergies", "allergy")),
        ("heart masses", Forms("heart masses", "heart masses", "heart mass")),
        ("virus", Forms("virus", "virus", "virus")),
        ("sepsis", Forms("sepsis", "sepsis", "sepsis")),
        ("高血压", Forms("高血压", "高血压", "高血压")),
        ("+/-", Forms("+/-", "", "")),
    ],
)
def test_forms(name: str, expected: Forms) -> None:
    assert forms(name) == expected


@given(st.text(alphabet="aBsS -(),.é高", max_size=12), st.text(alphabet="aBsS -(),.é高", max_size=12))
def test_names_that_are_equal_at_a_step_are_equal_at_every_later_one(a: str, b: str) -> None:
    pairs = [x == y for x, y in zip(forms(a), forms(b), strict=True)]
    assert pairs == sorted(pairs)
