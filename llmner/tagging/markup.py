"""Mentions to bracketed text and back: the format that people and other models read and write.

One line a type that has mentions, ``label: sentence``, every mention in brackets, nested brackets for nested
mentions; a sentence without mentions is the empty text. Or the sentence once, each mention with its type,
``[mention|label]``: that layout is read only.

Invariant: ``parse(render(mentions))`` gives the mentions back, for any text and any mentions that nest. Reading
a model's own answer never trusts it: spans are aligned with the source, a drifting copy is repaired where the
alignment is unambiguous, whatever is dropped is counted, and no input raises.
"""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from llmner.mentions import Match, Mention, trimmed
from llmner.tagging.inline import BAR
from llmner.tagging.layouts import LAYOUTS, Layout
from llmner.tagging.lines import line_head
from llmner.tagset import TagSet
from llmner.units import seen, shown

# Alignment takes time in the square of the length; no sentence is longer, so a longer line is lost, not slow.
_LONGEST_ALIGNED = 5_000
_QUOTES = str.maketrans("“”„‟«»‘’‚‛`´′″", "\"\"\"\"\"\"''''''''")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a tagged text.

    Attributes:
        mentions: Spans of the source, in order of start, then longest first; ``match`` says how each was found.
        notes: What was dropped or repaired, by kind: ``unknown type``, ``no label``, ``unbalanced``, ``empty``,
            ``repaired``, ``lost``.
    """

    mentions: tuple[Mention, ...]
    notes: Counter[str] = field(default_factory=Counter)


def render(text: str, mentions: Iterable[Mention], tag_set: TagSet) -> str:
    """Write mentions as tagged text.

    Args:
        text: The sentence.
        mentions: Its mentions. Of two of one type that cross, the later cannot be written and is left out;
            ``crossing`` finds it beforehand.
        tag_set: The types, in the order of their lines.

    Returns:
        The lines, joined by newlines.
    """
    source = shown(text)
    mentions = list(mentions)
    left_out = set(crossing(mentions))
    by_type: dict[str, set[tuple[int, int]]] = {}
    for i, m in enumerate(mentions):
        if i not in left_out:
            by_type.setdefault(m.type, set()).add((m.start, m.end))
    written = [t for t in tag_set.types if t.name in by_type]
    return "\n".join(line_head(t.label) + _bracketed(source, by_type[t.name]) for t in written)


def crossing(mentions: Sequence[Mention]) -> list[int]:
    """Indices of the mentions that cross an earlier one of their type without nesting."""
    result = []
    written: dict[str, list[Mention]] = {}
    for i in sorted(range(len(mentions)), key=lambda i: (mentions[i].start, -mentions[i].end)):
        m = mentions[i]
        others = written.setdefault(m.type, [])
        if any(o.start < m.start < o.end < m.end for o in others):
            result.append(i)
        else:
            others.append(m)
    return result


def _bracketed(source: str, spans: set[tuple[int, int]]) -> str:
    opens = Counter(start for start, _ in spans)
    closes = Counter(end for _, end in spans)
    pieces = ["]" * closes[i] + "[" * opens[i] + source[i : i + 1] for i in range(len(source) + 1)]
    return "".join(pieces)


def parse(
    output: str,
    text: str,
    tag_set: TagSet,
    *,
    layout: Layout = LAYOUTS["lines"],
    probabilities: Sequence[float] | None = None,
) -> Reading:
    """Read a tagged text.

    Args:
        output: What a model wrote, or ``render``.
        text: The sentence it should repeat.
        tag_set: The types whose labels may begin a line, or end a mention.
        layout: How tags are written.
        probabilities: For each character of the output the model's probability. A mention's score is the product of
            those of its two brackets and, where it has a line of its type, of that line's first character; 1 where
            none are given.

    Returns:
        The mentions found and an account of everything else. Never raises.
    """
    source = shown(layout.sentence(text))
    names = {t.label: t.name for t in tag_set.types}
    notes: Counter[str] = Counter()
    found: dict[tuple[int, int, str], Mention] = {}
    weights = [1.0] * len(output) if probabilities is None else probabilities
    lines = output.split("\n")
    starts = accumulate((len(line) + 1 for line in lines), initial=0)
    for line, line_start in zip(lines, starts, strict=False):
        if not line.strip():
            continue
        if (begun := layout.begin(line)) is None:
            notes["no label"] += 1
            continue
        label, begin = begun
        if label is not None and label not in names:
            notes["unknown type"] += 1
            continue
        weight = 1.0 if label is None else weights[line_start]
        copy, spans = _read_brackets(line[begin:], weights[line_start + begin : line_start + len(line)], label, notes)
        for mention in _align(copy, spans, source, names, notes):
            mention = replace(mention, score=mention.score * weight)
            key = (mention.start, mention.end, mention.type)
            if key not in found or found[key].match != "exact":
                found[key] = mention
    mentions = sorted(found.values(), key=lambda m: (m.start, -m.end, m.type))
    return Reading(tuple(mentions), +notes)


_Span = tuple[int, int, str, float]  # start, end, label, and the probability of its brackets


def _read_brackets(
    line: str, weights: Sequence[float], label: str | None, notes: Counter[str]
) -> tuple[str, list[_Span]]:
    """Take the tags out of a line of a label, or of one where each mention has its own: copy and tagged spans."""
    copy: list[str] = []
    opened: list[tuple[int, float]] = []
    spans: list[_Span] = []
    name: str | None = None  # of a mention that is about to end
    for c, weight in zip(line, weights, strict=True):
        if c == "]" and opened:
            start, opening = opened.pop()
            if label is None and name is None:
                notes["no label"] += 1
            else:
                spans.append((start, len(copy), label or name or "", opening * weight))
            name = None
        elif c == "]":
            notes["unbalanced"] += 1
        elif name is not None:
            name += c
        elif c == "[":
            opened.append((len(copy), weight))
        elif c == BAR and label is None and opened:
            name = ""
        else:
            copy.append(c)
    notes["unbalanced"] += len(opened)
    return "".join(copy), spans


def _align(
    copy: str, spans: list[_Span], source: str, names: Mapping[str, str], notes: Counter[str]
) -> Iterable[Mention]:
    """Yield the spans of a copy as mentions of the source, of types by label."""
    places: Sequence[int] = range(len(source) + 1)
    if copy != source:  # as it should be, but for what a model is not shown
        source, places = seen(source)
    blocks: list[tuple[int, int, int]] | None = None
    for start, end, label, score in spans:
        start, end = trimmed(copy, start, end)
        type_ = names.get(label.strip())
        if type_ is None:
            notes["unknown type"] += 1
        elif start >= end:
            notes["empty"] += 1
        elif copy == source:
            yield Mention(places[start], places[end], type_, score)
        else:
            if blocks is None:
                blocks = _matching_blocks(copy, source)
            shift = _unambiguous_shift(blocks, start, end, copy, source)
            if shift is None:
                notes["lost"] += 1
            else:
                notes["repaired"] += 1
                yield Mention(places[start + shift], places[end + shift], type_, score, _REPAIRED)


_REPAIRED: Match = "repaired"


def _matching_blocks(copy: str, source: str) -> list[tuple[int, int, int]]:
    """Return where copy and source are alike but for case, width and quotes: ``(in copy, in source, length)``."""
    if max(len(copy), len(source)) > _LONGEST_ALIGNED:
        return []
    matcher = difflib.SequenceMatcher(None, _folded(copy), _folded(source), autojunk=False)
    return [(block.a, block.b, block.size) for block in matcher.get_matching_blocks()]


def _folded(text: str) -> str:
    """Return the text without case, width and kind of quote, one character for one."""
    folded = []
    for c in text.translate(_QUOTES):
        f = unicodedata.normalize("NFKC", c).lower()
        folded.append(f if len(f) == 1 else c)
    return "".join(folded)


def _unambiguous_shift(blocks: list[tuple[int, int, int]], start: int, end: int, copy: str, source: str) -> int | None:
    """Return how far a span of the copy lies from its place in the source; None where that is not certain.

    Certain means: the span lies in one block, and the text of that block occurs once in the source, or as often
    in the copy as in the source, so that nothing repeated was dropped or added.
    """
    for in_copy, in_source, length in blocks:
        if in_copy <= start and end <= in_copy + length:
            block = _folded(source[in_source : in_source + length])
            times = _folded(source).count(block)
            if times == 1 or times == _folded(copy).count(block):
                return in_source - in_copy
            return None
    return None
