"""The pages in a real browser: they open without an error, ask for nothing, and mark what the offsets say."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from papers import make_lexicon, make_nights
from playwright.sync_api import Browser, Page, sync_playwright

import llmner
from llmner.dataset.snapshot import Snapshot
from llmner.documents import Row
from llmner.graph.strongest import strongest
from llmner.report.comparison import compare, comparison_page
from llmner.report.documents import find_documents
from llmner.report.graph import graph_picture
from llmner.report.highlight import highlight_page
from llmner.report.snapshot import snapshot_page

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"none of {', '.join(NAMES)} is installed")

# For each mark its text without labels, and where it begins in its paragraph.
MARKS = """
() => [...document.querySelectorAll('article')].map(article => [...article.querySelectorAll('h3, p.text')].map(p => {
    const found = [];
    for (const mark of p.querySelectorAll('mark')) {
        const before = document.createRange();
        before.setStart(p, 0);
        before.setEnd(mark, 0);
        found.push([before.toString().length, mark.textContent]);
    }
    return [p.textContent, found];
}))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield program
        program.close()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("shown")
    make_nights(str(folder / "papers"), make_lexicon(folder))
    return llmner.open_dataset(str(folder / "papers"))


def pages(snapshot: Snapshot) -> dict[str, str]:
    picture = graph_picture(*strongest(snapshot.uri))
    older = llmner.open_dataset(snapshot.uri, commit=1)
    return {
        "inspect": highlight_page(find_documents(snapshot)),
        "report": snapshot_page(snapshot, picture=picture),
        "compare": comparison_page(compare(older, snapshot)),
    }


def opened(browser: Browser, html: str, file: Path, **more: Any) -> tuple[Page, list[str]]:
    """The page, and what went wrong while it opened."""
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(**more)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
    page.goto(file.as_uri(), wait_until="networkidle")
    return page, wrong


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_without_an_error_and_fit(
    browser: Browser, snapshot: Snapshot, tmp_path: Path, width: int, scheme: str
) -> None:
    grounds = set()
    for name, html in pages(snapshot).items():
        viewport = {"width": width, "height": 800}
        page, wrong = opened(browser, html, tmp_path / f"{name}.html", viewport=viewport, color_scheme=scheme)
        assert wrong == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert page.evaluate(broken) == 0, name
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert grounds == {"rgb(17, 21, 27)" if scheme == "dark" else "rgb(246, 247, 249)"}


def test_marks_stand_where_the_offsets_say(browser: Browser, snapshot: Snapshot, tmp_path: Path) -> None:
    rows: list[Row] = find_documents(snapshot)
    page, _ = opened(browser, highlight_page(rows), tmp_path / "inspect.html")
    for row, paragraphs in zip(rows, page.evaluate(MARKS), strict=True):
        found, start = [], 0
        for text, marks in paragraphs:
            start = row["text"].index(text, start)
            found += [(start + offset, start + offset + len(word), word) for offset, word in marks]
            start += len(text)
        expected = [(m["start"], m["end"], m["text"]) for m in row["mentions"]]
        assert sorted(found) == sorted(expected), row["source_id"]
    page.close()


def test_names_in_the_graph_do_not_collide(browser: Browser, snapshot: Snapshot, tmp_path: Path) -> None:
    page, _ = opened(browser, pages(snapshot)["report"], tmp_path / "report.html")
    boxes = page.evaluate("[...document.querySelectorAll('.graph text')].map(t => t.getBoundingClientRect().toJSON())")
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"]
            assert apart or b["bottom"] <= a["top"]
    page.close()
