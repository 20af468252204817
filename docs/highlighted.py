"""Draw ``docs/highlighted.svg``: sentences of the sample with their entities, as a terminal shows them.

Run ``make run`` first, then ``python docs/highlighted.py``.
"""

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

import llmner
from llmner.report.terminal import bracketed

_PART = 420  # code points of a document that are shown
_DOCUMENTS = {"en": 2, "zh": 1}
_FRAME = (
    '<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg"><style>'
    ".{unique_id}-matrix {{font-family: Menlo, Consolas, monospace; font-size: {char_height}px; "
    "line-height: {line_height}px;}} {styles}</style><defs>{lines}</defs>{chrome}"
    '<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>'
    "</svg>"
)


def main() -> None:
    """Draw the picture."""
    console = Console(record=True, width=110, file=io.StringIO())
    left = dict(_DOCUMENTS)
    for row in llmner.open_dataset("out/sample").documents.to_table().to_pylist():
        if left.get(row["lang"], 0) and len(row["mentions"]) > 3:
            left[row["lang"]] -= 1
            text = row["text"][:_PART]
            console.print(bracketed(text, [m for m in row["mentions"] if m["end"] <= len(text)]), end="\n\n")
    picture = console.export_svg(title="llmner", theme=MONOKAI, code_format=_FRAME, unique_id="llmner")
    Path(__file__).with_name("highlighted.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
