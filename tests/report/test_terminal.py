"""Texts of strangers on a terminal."""

import io

import pytest
from rich.console import Console

from llmner.report.terminal import bracketed, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("benzo[a]pyrene", "benzo[a]pyrene"),
        ("a\x1b[31mb\x07", "a\u241b[31mb\u2407"),
        ("one\ntwo\r", "one\ntwo\u240d"),
        ("\u202egnirts\x9b", "\ufffdgnirts\ufffd"),
        ("阿司匹林 \x7f", "阿司匹林 \u2421"),
    ],
)
def test_control_characters_are_pictures(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_brackets_of_a_text_are_no_markup() -> None:
    out = io.StringIO()
    text = "[/b] and benzo[a]pyrene"
    Console(file=out, width=200).print(bracketed(text, []))
    assert out.getvalue() == f"{text}\n"
