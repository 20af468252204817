"""Drafts against the grammar that they follow, and the choice of their length."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import INLINE_VOCABULARY, TEXTS, TOKENISER, VOCABULARY

from llmner.tagging.drafting import Markers, best_length, continuation

PREFIX = [7, 3, 20, 3, 30, 3]  # lines of a prompt
MARKERS = Markers(before=3, after=(3, 31, 3))


def guess(tokens: list[int], length: int, known: Any = VOCABULARY) -> list[int]:
    def vocabulary(prefix):
        assert prefix.tolist() == PREFIX
        return known

    return continuation(np.array(tokens, np.int32), MARKERS, vocabulary, length)


@given(TEXTS.filter(bool), st.lists(st.integers(0, 11), max_size=200), st.integers(1, 60))
def test_a_draft_is_the_copy_without_further_tags(text: str, choices: list[int], length: int) -> None:
    source = TOKENISER(text)
    cursor = VOCABULARY.cursor(source)
    row = [*PREFIX, *source.tokens, *MARKERS.after]
    tags = (VOCABULARY.open, VOCABULARY.close)
    for choice in choices:
        draft = guess(row, length)
        assert 0 < len(draft) <= length
        twin = cursor.copy()
        for token in draft:
            assert token in twin.allowed()
            assert token not in tags or twin.allowed() == (token,)
            twin.advance(token)
        assert len(draft) == length or twin.done
        allowed = cursor.allowed()
        row.append(allowed[choice % len(allowed)])
        cursor.advance(row[-1])
        if cursor.done:
            assert guess(row, length) == []
            return


@given(TEXTS.filter(bool), st.lists(st.integers(0, 11), max_size=200), st.integers(1, 60))
def test_in_one_line_it_goes_on_to_the_next_type_or_the_end(text: str, choices: list[int], length: int) -> None:
    source = TOKENISER(text)
    cursor = INLINE_VOCABULARY.cursor(source)
    row = [*PREFIX, *source.tokens, *MARKERS.after]
    for choice in choices:
        draft = guess(row, length, INLINE_VOCABULARY)
        assert len(draft) <= length
        twin = cursor.copy()
        for token in draft:
            assert token in twin.allowed()
            assert token != INLINE_VOCABULARY.open
            twin.advance(token)
        if len(draft) < length and not twin.done:  # a type is for the model to say, until only one is left
            last = draft[-1] if draft else row[-1]
            assert last in ({INLINE_VOCABULARY.bar} if draft else {INLINE_VOCABULARY.bar, 10})
        allowed = cursor.allowed()
        row.append(allowed[choice % len(allowed)])
        cursor.advance(row[-1])
        if cursor.done:
            assert guess(row, length, INLINE_VOCABULARY) == []
            return


@pytest.mark.parametrize("row", [[], [5], [3, 31, 3], PREFIX, [*PREFIX, 99], [99, 3, 31, 3]])
def test_a_row_that_is_none_of_ours_is_left_alone(row: list[int]) -> None:
    assert guess(row, 5) == []


def test_an_answer_that_has_left_the_form_is_left_alone() -> None:
    assert guess([*PREFIX, 100, 101, *MARKERS.after, 77, 78], 5) == []
    # drifted by an inserted token, it goes on where the count says
    assert guess([*PREFIX, 100, 101, 102, *MARKERS.after, 13, 99], 2) == [101, 102]


def test_the_length_adapts_to_acceptance_and_load() -> None:
    def best(acceptance: float, rows: int) -> int:
        return best_length(acceptance, rows, free=256, longest=31)

    assert best(0.95, 1) > 20
    assert best(0.1, 1) <= 2
    assert best(0.95, 1) > best(0.95, 64) > best(0.95, 1024) >= 1
    assert best(0.95, 64) > best(0.7, 64)
    # by hand: with a = 1/2, one row and free = 1, steps of 1 and 2 drafted tokens write 1.5 / 3 and 1.75 / 4
    assert best_length(0.5, 1, free=1, longest=2) == 1
