"""Marked text for terminals: each mention in brackets with its type after it, nested ones nested, types in colours."""

from collections.abc import Sequence

from rich.text import Text

from llmner.report.highlight import Mark, Mention, marked

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
