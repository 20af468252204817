"""The Python API: nested mentions, many texts in one call, and how documents show themselves."""

import subprocess
import sys
from collections.abc import Sequence
from typing import ClassVar

import lxml.html
import pytest
from rich.console import Console

import llmner
from llmner.api import Model
from llmner.errors import ConfigError, TaggingError
from llmner.mentions import Mention
from llmner.selection.competition import Rules
from llmner.selection.selector import SelectionRequest, SelectionResult
from llmner.tagging.engine import TaggingRequest, TaggingResult

TEXT = "The CD28 surface receptor <b> binds NF-kappa B."
NESTED = {"CD28 surface receptor": "protein", "CD28": "protein", "NF-kappa B": "protein", "receptor": "DNA"}


class Lexicon:
    """Tags the strings it knows; a text with ``?`` has no answer."""

    fingerprint: ClassVar[dict[str, str]] = {}

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        return [self._tag(r.text) for r in requests]

    def _tag(self, text: str) -> TaggingResult:
        if "?" in text:
            return TaggingResult(error=TaggingError("this cannot be tagged"))
        spans = [(text.index(s), text.index(s) + len(s), t) for s, t in NESTED.items() if s in text]
        return TaggingResult(tuple(Mention(*span, 0.75) for span in sorted(spans, key=lambda s: (s[0], -s[1]))))


class DoubtsDna:
    """Judges everything right but DNA."""

    fingerprint: ClassVar[dict[str, str]] = {}

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        return [SelectionResult(tuple(0.1 if m.type == "DNA" else 0.9 for m in r.candidates)) for r in requests]


def test_mentions_are_nested_and_are_their_text() -> None:
    doc = Model(Lexicon()).annotate(TEXT, tag_set="genia")
    assert [m.text for m in doc.mentions] == ["CD28 surface receptor", "CD28", "receptor", "NF-kappa B"]
    assert all(doc.text[m.start : m.end] == m.text for m in doc.mentions)
    outer, inner, other, last = doc.mentions
    assert outer.children == (inner, other)
    assert last.children == ()
    assert {(m.tag_set, m.score) for m in doc.mentions} == {("genia", 0.75)}


def test_a_selector_gives_the_score_and_drops() -> None:
    model = Model(Lexicon(), DoubtsDna(), Rules(0.5, {}, {}))
    doc = model.annotate(TEXT, tag_set="genia")
    assert [(m.text, m.score) for m in doc.mentions] == [(s, 0.9) for s in NESTED if s != "receptor"]
    assert [m.text for m in doc.mentions[0].children] == ["CD28"]


def test_many_texts_in_one_call_and_one_that_fails_alone() -> None:
    texts = [TEXT, "", "Who knows CD28?", "CD28 " * 3] * 20
    docs = Model(Lexicon()).annotate(texts, tag_set=["genia", "bc5cdr"], progress=False)
    assert [d.text for d in docs] == texts
    assert [len(d.mentions) for d in docs[:4]] == [8, 0, 0, 2]
    assert [d.error for d in docs[:4]] == [None, None, "this cannot be tagged", None]
    assert "failed: this cannot be tagged" in repr(docs[2])
    assert docs[4:8] == docs[:4]


def test_tag_sets_of_two_languages_are_refused() -> None:
    with pytest.raises(ConfigError, match="tag sets of en and zh for one text"):
        Model(Lexicon()).annotate(TEXT, tag_set=["genia", "cmeee_v2"])
    with pytest.raises(ConfigError, match="no tag set 'nonesuch'"):
        Model(Lexicon()).annotate(TEXT, tag_set="nonesuch")


def test_jupyter_shows_nested_marks_and_the_text_as_it_is() -> None:
    doc = Model(Lexicon()).annotate(TEXT, tag_set=["genia", "bc5cdr"])
    shown = lxml.html.fragment_fromstring(doc._repr_html_())
    paragraphs = shown.xpath(".//p")
    assert [p.text_content() for p in paragraphs] == [TEXT, TEXT]
    assert [m.text_content() for m in paragraphs[0].xpath("./mark/mark")] == ["CD28", "receptor"]
    assert paragraphs[0].xpath("./mark/@data-tip") == ["protein · bc5cdr · 0.75"] * 2
    assert shown.xpath("./small/text()") == ["bc5cdr", "genia"]
    assert shown.xpath("boolean(.//b)") is False
    [plain] = lxml.html.fragment_fromstring(Model(Lexicon()).annotate("x", tag_set="genia")._repr_html_()).xpath(".//p")
    assert plain.text_content() == "x"


def test_a_terminal_shows_brackets_and_types() -> None:
    doc = Model(Lexicon()).annotate(TEXT, tag_set="genia")
    marked = "The [[CD28|protein] surface [receptor|DNA]|protein] <b> binds [NF-kappa B|protein]."
    assert str(doc) == marked
    console = Console(width=200, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        console.print(doc)
    assert "\x1b[34m" in captured.get(), "the types are coloured"
    with (plain := Console(width=200, color_system=None)).capture() as captured:
        plain.print(doc)
    assert captured.get() == marked + "\n"


def test_importing_the_package_is_light() -> None:
    program = (
        "import sys, llmner; dir(llmner); "
        "print(*{'torch', 'ray', 'transformers', 'pyarrow', 'pydantic', 'rich'} & set(sys.modules)); llmner.load; "
        "print(*{'torch', 'ray', 'transformers', 'vllm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        llmner.nothing  # noqa: B018
