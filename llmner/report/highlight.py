"""HTML that shows documents with their mentions marked in the text: a page of many, or one for a notebook.

Invariant: the marked text read without its labels is the document's text, whatever way the mentions overlap.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmner.errors import DatasetError
from llmner.report.templates import HUES, TEMPLATES

Mention = Mapping[str, Any]  # a row of MENTION_STRUCT


@dataclass(slots=True)
class Mark:
    """A mention, or the part of one that fits between the ends of a mention it crosses.

    Attributes:
        mention: The mention.
        first: Whether the mention begins here.
        last: Whether the mention ends here.
        content: Text and marks inside, in order.
    """

    mention: Mention
    first: bool
    last: bool = False
    content: list["str | Mark"] = field(default_factory=list)


def highlight_page(documents: Sequence[Mapping[str, Any]], *, title: str = "Mentions found") -> str:
    """Make the page.

    Each tag set of a document has a paragraph of its own, since tag sets disagree about the same words. Mentions
    that a selector did not keep are shown in outline and not counted.

    Args:
        documents: Rows of ``DOCUMENT_SCHEMA``; see ``documents.find_documents`` for what their mentions may have, too.
        title: The page's heading.

    Returns:
        A complete HTML document.

    Raises:
        DatasetError: A mention outside of its text.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)  # kept mentions by tag set and type
    for document in documents:
        for mention in document["mentions"]:
            counts[mention["tag_set"]][mention["type"]] += mention["kept"]
    return TEMPLATES.get_template("highlight.html").render(
        title=title,
        documents=[_document(d) for d in documents],
        statuses=Counter(d["status"] for d in documents),
        counts={tag_set: of_set.most_common() for tag_set, of_set in counts.items()},
        total=sum(of_set.total() for of_set in counts.values()),
        nested=sum(m["kept"] and m["parent"] is not None for d in documents for m in d["mentions"]),
        style=_hues(counts),
        hues=HUES,
    )


def highlight(text: str, mentions: Sequence[Mention]) -> str:
    """Return a text with its mentions marked, for a place in another page, such as a notebook's.

    Args:
        text: The text.
        mentions: Its mentions, of any tag sets; each tag set has a paragraph of its own.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mention in mentions:
        counts[mention["tag_set"]][mention["type"]] += 1
    paragraphs = {n: marked(text, [m for m in mentions if m["tag_set"] == n], 0, len(text)) for n in counts}
    style = _hues(counts)
    return TEMPLATES.get_template("fragment.html").render(
        paragraphs=paragraphs or {"": [text]}, style=style, hues=sorted({*style.values()})
    )


def _hues(counts: Mapping[str, Counter[str]]) -> dict[tuple[str, str], int]:
    """Choose a hue for each type: its own in the tag set, and where possible the one its name has in other tag sets."""
    by_name: dict[str, int] = {}
    hues: dict[tuple[str, str], int] = {}
    for tag_set, of_set in counts.items():
        free = list(HUES)
        for name, _ in of_set.most_common():
            free = free or list(HUES)
            hue = by_name[name] if by_name.get(name) in free else free[0]
            free.remove(hue)
            hues[tag_set, name] = hue
            by_name.setdefault(name, hue)
    return hues


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows of a document."""
    text = row["text"]
    by_tag_set: defaultdict[str, list[Mention]] = defaultdict(list)
    for mention in row["mentions"]:
        if not 0 <= mention["start"] < mention["end"] <= len(text):
            raise DatasetError(
                f"document {row['source_id']}: mention [{mention['start']}, {mention['end']}) is outside of its text"
            )
        by_tag_set[mention["tag_set"]].append(mention)
    rest = text.removeprefix(row["title"])
    is_line = len(rest) < len(text) and (not rest or rest[0].isspace())  # the text begins with the title as a line
    title_end = len(row["title"]) if is_line else 0
    body = len(text) - len(rest.lstrip()) if is_line else 0
    paragraphs = {
        tag_set: (marked(text, mentions, 0, title_end), marked(text, mentions, body, len(text)))
        for tag_set, mentions in (by_tag_set or {"": []}).items()
    }
    kept = sum(m["kept"] for m in row["mentions"])
    return {"row": row, "title": row["title"] if rest == text else "", "paragraphs": paragraphs, "kept": kept}


def marked(text: str, mentions: Iterable[Mention], start: int, end: int) -> list[str | Mark]:
    """Return a stretch of text as a forest of marks.

    Of two mentions that cross, the later one is divided where the earlier one ends.

    Args:
        text: The whole text.
        mentions: Mentions of it, in any order; those outside of the stretch are left out.
        start: First code point of the stretch.
        end: One past its last code point.

    Returns:
        Text and marks in order.
    """
    inside = [m for m in mentions if m["start"] < end and m["end"] > start]
    waiting = sorted(inside, key=lambda m: (m["start"], -m["end"]))[::-1]  # the next to open is last
    edges = {edge for m in inside for edge in (m["start"], m["end"]) if start < edge < end}
    root: list[str | Mark] = []
    open_: list[Mark] = []  # outermost first
    position = start
    for edge in sorted({start, *edges, end}):
        if position < edge:
            (open_[-1].content if open_ else root).append(text[position:edge])
        position = edge
        opening: list[Mention] = []
        while any(mark.mention["end"] == edge for mark in open_):
            mark = open_.pop()
            mark.last = mark.mention["end"] == edge
            if not mark.last:
                opening.append(mark.mention)
        while edge < end and waiting and waiting[-1]["start"] <= edge:
            opening.append(waiting.pop())
        for mention in sorted(opening, key=lambda m: -m["end"]):
            mark = Mark(mention, first=mention["start"] == edge)
            (open_[-1].content if open_ else root).append(mark)
            open_.append(mark)
    return root
