import base64
import re
from datetime import date

import lxml.etree
import lxml.html
import pytest

from llmner.annotations import AnnotatedSentence
from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.mistakes import KINDS, Mistake
from llmner.mentions import Mention
from llmner.report.evaluation import context, evaluation_page
from llmner.report.plots import rates_plot, shares_plot
from llmner.tagging.engine import TaggingResult
from llmner.tagset import EntityType, TagSet

EVIL = "<script>alert(1)</script>"
ENGINE = {"model": "tiny", "adapter": "none"}
Spans = list[tuple[int, int, str]]


def evaluation(text: str, gold: Spans, predicted: Spans, *types: str, corpus: str = "notes dev") -> Evaluation:
    tag_set = TagSet("set", "en", tuple(EntityType(t, f"label {i}", "d") for i, t in enumerate(types)))
    sentence = AnnotatedSentence(text, tuple(Mention(*m) for m in gold))
    result = TaggingResult(tuple(Mention(*m) for m in predicted), 5, 9)
    return Evaluation(corpus, tag_set, [sentence], [result], seconds=1.0)


def page(*evaluations: Evaluation) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(evaluation_page(evaluations, ENGINE, date(2026, 11, 22)))


def test_a_page_has_all_its_sections() -> None:
    found = evaluation(
        "IL-2 binds CD28 here", [(0, 4, "protein"), (11, 15, "protein")], [(0, 4, "protein"), (11, 15, "DNA")],
        "protein", "DNA",
    )  # fmt: skip
    shown = page(found, found)
    assert shown.xpath("//h1/text()") == ["Evaluation of tiny"]
    assert shown.xpath("//article[2]//h3/text()") == [
        "Types",
        "Nested and flat mentions",
        "Length of the mention",
        "Length of the sentence",
        "Kinds of mistakes",
        "Most frequent mistakes",
    ]
    types = [[td.text_content() for td in tr] for tr in shown.xpath("//article[2]/section[1]//tr")]
    assert types == [
        ["type", "gold", "predicted", "precision", "recall", "F1", "95 % interval"],
        ["protein", "2", "1", "1.000", "0.500", "0.667", "0.667–0.667"],
        ["DNA", "0", "1", "0.000", "0.000", "0.000", "0.000–0.000"],
    ]
    (mistake,) = shown.xpath("//article[2]/section[last()]//tbody/tr")
    assert [td.text_content() for td in mistake] == [
        "1", "type", "CD28 protein", "CD28 DNA", "IL-2 binds CD28 here",
    ]  # fmt: skip
    assert [(m.get("class"), m.text) for m in mistake.xpath(".//mark")] == [("gold predicted", "CD28")]


def test_untrusted_text_is_escaped_and_nothing_is_loaded() -> None:
    text = f"{EVIL} & more"
    found = evaluation(text, [(0, 8, EVIL)], [(1, 9, '"><img src=x onerror=y>')], EVIL, '"><img src=x onerror=y>')
    html = evaluation_page([found, found], {**ENGINE, "base": EVIL}, date(2026, 11, 22))
    assert "<script" not in html
    assert "onerror=y>" not in html.replace("onerror=y&gt;", "")
    shown = lxml.html.document_fromstring(html)
    assert shown.xpath("//@onerror | //link | //script | //object | //iframe") == []
    assert all(url.startswith(("data:image/svg+xml;base64,", "#corpus-")) for url in shown.xpath("//@src | //@href"))
    assert not re.search(r"url\(|@import|https?:", html)
    assert "default-src 'none'" in html
    for url in shown.xpath("//@src"):
        plot = lxml.etree.fromstring(base64.b64decode(url.partition(",")[2]))
        assert plot.xpath("//*[local-name() = 'script' or local-name() = 'img']") == []


def test_a_corpus_without_mentions_makes_a_page_too() -> None:
    shown = page(evaluation("nothing here", [], [], "protein"))
    assert shown.xpath("//article[2]//h3") == []
    assert shown.xpath("//article[1]//tbody/tr/td[1]/text()") == ["notes dev"]


@pytest.mark.parametrize(
    ("mistake", "shown"),
    [
        (Mistake("missed", (2, 4, "t"), None), "ab[cd|gold]ef"),
        (Mistake("spurious", None, (0, 2, "t")), "[ab|predicted]cdef"),
        (Mistake("boundary", (1, 4, "t"), (2, 6, "t")), "a[b|gold][cd|gold predicted][ef|predicted]"),
    ],
)
def test_what_is_gold_and_what_was_predicted_is_marked(mistake: Mistake, shown: str) -> None:
    assert re.sub(r'<mark class="([^"]+)">(.*?)</mark>', r"[\2|\1]", context("abcdef", mistake)) == shown


def test_long_sentences_are_cut_around_the_mistake() -> None:
    around = context("x" * 100 + "here" + "y" * 100, Mistake("missed", (100, 104, "t"), None))
    assert around == f'…{"x" * 60}<mark class="gold">here</mark>{"y" * 60}…'


def test_plots_are_the_same_each_time_and_names_are_no_formulas() -> None:
    names = ("a$_b$", "细胞 & <T>", "plain")
    found = evaluation("abcdef", [(0, 1, n) for n in names], [], *names).figures
    for plot in (rates_plot(found.by["type"]), shares_plot(found.mistakes, KINDS)):
        assert set(names) <= {t.text for t in lxml.etree.fromstring(plot.encode()).iter("{*}text")}
    assert rates_plot(found.by["type"]) == rates_plot(found.by["type"])
