"""Marked text for terminals: each mention in brackets with its type after it, nested ones nested, types in colours."""

import re
from collections.abc import Sequence

from rich.text import Text

from llmner.report.highlight import Mark, Mention, marked

# Control characters, and those that turn the direction of writing: a terminal would obey them.
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_COLOURS = ("blue", "green", "magenta", "dark_orange", "cyan", "red", "yellow", "purple")


def bracketed(text: str, mentions: Sequence[Mention]) -> Text:
    """Return a text with its mentions in brackets, ``the [CD28|protein]``, one line for each tag set.

    Args:
        text: The text.
        mentions: Its mentions, of any tag sets.
    """
    types = list(dict.fromkeys(m["type"] for m in mentions))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(types)}
    by_tag_set = [[m for m in mentions if m["tag_set"] == s] for s in dict.fromkeys(m["tag_set"] for m in mentions)]
    lines = [_line(marked(text, own, 0, len(text)), colours) for own in by_tag_set]
    return Text("\n").join(lines or [Text(text)])


def _line(nodes: Sequence[str | Mark], colours: dict[str, str], *, style: str = "") -> Text:
    line = Text()
    for node in nodes:
        if isinstance(node, str):
            line.append(node, style)
            continue
        colour = colours[node.mention["type"]]
        line.append("[" if node.first else "", colour)
        line.append_text(_line(node.content, colours, style="bold"))
        line.append(f"|{node.mention['type']}]" if node.last else "", colour)
    return line


def visible(text: str) -> str:
    """Return a text for a terminal: control characters become pictures of themselves, line feeds stay."""
    return _CONTROL.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
