"""Draw ``docs/highlighted.png``: the first sentences of two documents of the sample, as ``llmner inspect`` shows them.

Run ``make run`` first, then ``python docs/highlighted.py``. It takes Chromium, and a font with Chinese characters.
"""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import llmner
from llmner.documents import Row
from llmner.report.highlight import highlight_page

_SENTENCES = {"99000007": 3, "c7cf8b8ba678c74a": 3}  # how many are shown of a document
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_STYLE = """
body { width: 880px } header, footer { display: none } main { padding: 16px } article:last-child { margin: 0 }
"""


def main() -> None:
    """Draw the picture."""
    rows = llmner.open_dataset("out/sample").documents.to_table().to_pylist()
    rows = [_shortened(row) for name in _SENTENCES for row in rows if row["source_id"] == name]
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(device_scale_factor=1.5)
        page.set_content(highlight_page(rows))
        page.add_style_tag(content=_STYLE)
        drawn = page.locator("body").screenshot()
        browser.close()
    picture = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(Path(__file__).with_name("highlighted.png"), optimize=True)


def _shortened(row: Row) -> Row:
    """Return a document with its first sentences only."""
    end = row["sentences"][_SENTENCES[row["source_id"]] - 1]["end"]
    mentions = [m for m in row["mentions"] if m["end"] <= end]
    return {**row, "text": row["text"][:end], "mentions": mentions}


if __name__ == "__main__":
    main()
