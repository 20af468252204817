from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmner
from llmner.annotations import AnnotatedSentence
from llmner.errors import ConfigError
from llmner.evaluation.card import BEGIN, END, figures_section, with_section
from llmner.evaluation.evaluate import Evaluation
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set

ENGINE = {"adapter": "sha256 " + "0123456789abcdef" * 4, "decoding": "greedy"}


def test_a_row_a_corpus() -> None:
    gold = (Mention(0, 7, "Chemical"), Mention(12, 16, "Disease"))
    sentences = [AnnotatedSentence("aspirin for gout", gold)] * 4
    evaluation = Evaluation(
        "pills|dev", load_tag_set("bc5cdr"), sentences, [TaggingResult(gold[:1], 3, 9)] * 4, seconds=1.0
    )
    section = figures_section([evaluation], ENGINE, date(2026, 11, 22))
    assert (
        r"| pills\|dev | 4 | 8 | 1.000 [1.000, 1.000] | 0.500 [0.500, 0.500] | 0.667 [0.667, 0.667] |"
        in section.splitlines()
    )
    assert "Measured 2026-11-22; adapter sha256 0123456789ab, greedy." in section


text = st.text(alphabet="ab <!->\n", max_size=30)


@given(text, text, text)
def test_the_section_alone_is_replaced(before: str, after: str, section: str) -> None:
    card = f"{before}{BEGIN}\nold figures\n{END}{after}"
    once = with_section(card, section)
    assert once == f"{before}{BEGIN}\n{section}\n{END}{after}"
    assert with_section(once, section) == once


def test_a_card_without_figures_gets_them_at_its_end() -> None:
    once = with_section("# A model\n", "figures")
    assert once == f"# A model\n\n{BEGIN}\nfigures\n{END}\n"
    assert with_section(once, "figures") == once


def test_the_embedded_model_has_a_place_for_its_figures() -> None:
    card = (Path(llmner.__file__).parent / "weights" / "embedded" / "README.md").read_text(encoding="utf-8")
    before, _, rest = card.partition(BEGIN)
    assert with_section(card, "figures") == f"{before}{BEGIN}\nfigures\n{END}{rest.partition(END)[2]}"
    assert "## Figures" in before
    assert "## Limits" in rest


@pytest.mark.parametrize("card", [BEGIN, END, END + BEGIN, BEGIN + END + BEGIN + END])
def test_marks_that_are_no_pair_are_refused(card: str) -> None:
    with pytest.raises(ConfigError, match="leave one pair"):
        with_section(card, "figures")
