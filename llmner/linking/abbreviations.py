"""Abbreviations that a document defines itself: "long form (SF)", by the rule of Schwartz and Hearst (2003).

Invariant: pure; a long form is a stretch of the text right before the bracket. Full-width brackets count as brackets,
character for character. Chinese has no spaces, and its long forms none of the short one's letters: there the long form
is the longest mention that ends at the bracket.
"""

import re
from collections.abc import Iterable

_FOLD = str.maketrans("（）［］【】，；：", "()()()" + ",;:", "")
_BRACKET = re.compile(r"\(([^()]{2,80})\)")
_SHORT = re.compile(r"(?=[^A-Za-z]{0,9}[A-Za-z])[^\W_][\w/.+-]{1,9}(?: [\w/.+-]{1,9})?")
_CUT = re.compile(r"[,;]")
_SENTENCE_END = re.compile(r"[.!?;:]\s|[。！？；\n]")
_CJK = re.compile(r"[\u3400-\u9fff]")


def abbreviations(text: str, spans: Iterable[tuple[int, int]] = ()) -> dict[str, str]:
    """Find the abbreviations that a text defines.

    Args:
        text: A document.
        spans: Its mentions.

    Returns:
        Long forms by short form, both as they are written; the first definition counts.
    """
    folded = text.translate(_FOLD)
    starts: dict[int, int] = {}  # of the longest mention by its end
    for start, end in spans:
        starts[end] = min(start, starts.get(end, start))
    found: dict[str, str] = {}
    for bracket in _BRACKET.finditer(folded):
        short = _CUT.split(bracket[1])[0].strip()
        before = _before(folded, bracket.start())
        if not _SHORT.fullmatch(short):
            # The other way round: "SF (long form)".
            word = before.rsplit(None, 1)[-1:]
            if word and _SHORT.fullmatch(word[0]) and _long_form(word[0], bracket[1]) == bracket[1]:
                found.setdefault(word[0], bracket[1])
            continue
        if _CJK.match(before[-1:]):
            begin = starts.get(bracket.start())
            long = None if begin is None else text[begin : bracket.start()]
        else:
            long = _long_form(short, before)
        if long is not None:
            found.setdefault(short, long)
    return found


def _before(text: str, end: int) -> str:
    """Return the part of the sentence before a bracket, at most 200 characters."""
    window = text[max(0, end - 200) : end].rstrip()
    return _SENTENCE_END.split(window)[-1]


def _long_form(short: str, before: str) -> str | None:
    """Return the shortest end of a text with the short form's letters in order, the first at the start of a word."""
    words = before.split()
    most = min(len(short) + 5, len(short) * 2)
    window = " ".join(words[-most:])
    place = len(window)
    for i in range(len(short) - 1, -1, -1):
        letter = short[i].lower()
        if not letter.isalnum():
            continue
        place -= 1
        while place >= 0 and (
            window[place].lower() != letter or (i == 0 and place > 0 and window[place - 1].isalnum())
        ):
            place -= 1
        if place < 0:
            return None
    long = window[window.rfind(" ", 0, place) + 1 :] if place and window[place - 1] != " " else window[place:]
    too_short = len(long) <= len(short)
    return None if too_short or short in long.split() or long.count("(") != long.count(")") else long
