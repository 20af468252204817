"""Boundary-safe units: the smallest pieces of a sentence between which a tag may stand, and their tokens.

A unit is one CJK character, one run of letters (with their combining marks), one run of digits, or one other
character; a single leading space belongs to its unit, and so do invisible format characters, which the model is not
shown. Each unit is tokenised alone, so that a tag placed
between two units never changes the tokens around it: the tagged text without its tags has exactly the
source's tokens.

Invariant: the units' texts joined are the text; the unit edges lie on code points.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Ideographs (with extensions and compatibility forms), kana and Hangul: scripts written without word spaces,
# in which a mention may begin or end at any character.
_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_MARK = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
# Category Cf: soft hyphens, zero-width characters, directions. They stand in words, where nobody sees them.
_FORMAT = (
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0001-\U000e007f"
)
_WITH = rf"[{_MARK}{_FORMAT}]*"  # what belongs to the character before it
_LETTER = rf"[^\W\d_{_CJK}]"
_UNIT = re.compile(
    rf"\x20?[{_FORMAT}]*(?:[{_CJK}]{_WITH}|{_LETTER}(?:{_LETTER}|[{_MARK}{_FORMAT}])*|\d[\d{_FORMAT}]*|[^\x20{_FORMAT}]{_WITH})"
    rf"|\x20|[{_FORMAT}]+",
    re.DOTALL,
)
_INVISIBLE = re.compile(f"[{_FORMAT}]+")
_WIDE = {chr(c): chr(c - 0xFEE0) for first, last in ("０９", "ＡＺ", "ａｚ") for c in range(ord(first), ord(last) + 1)}
_SHOWN = {"[": "\u27e6", "]": "\u27e7", **_WIDE}


def shown(text: str) -> str:
    """Return the text as the model sees it: one character for one, so that offsets hold.

    Literal brackets become U+27E6 and U+27E7, because brackets are tags; line ends and control characters
    become a space, because a line is a type; full-width letters and digits become those of ASCII.
    """
    return "".join(_shown_character(c) for c in text)


def _shown_character(c: str) -> str:
    if c in _SHOWN:
        return _SHOWN[c]
    # Cc: control characters with tab and newlines; Zl, Zp: line and paragraph separators; Cs: lone surrogates
    return " " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c


def split_units(text: str) -> list[str]:
    """Split a shown text into its units; joined they are the text."""
    return _UNIT.findall(text)


def seen(text: str) -> tuple[str, list[int]]:
    """Return what the model is shown of a shown text, and where each character of it, and its end, lies in the text.

    An invisible character lies with what follows it in its unit, or with what the unit ends on.
    """
    pieces: list[str] = []
    places: list[int] = []
    offset = 0
    for unit in split_units(text):
        place = offset
        for i, c in enumerate(unit):
            if not _INVISIBLE.match(c) or _INVISIBLE.fullmatch(unit):
                pieces.append(c)
                places.append(place)
                place = offset + i + 1
        offset += len(unit)
    return "".join(pieces), [*places, offset]


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """A sentence in units and tokens.

    Attributes:
        tokens: Token ids of the whole text, in order.
        unit_at: For each token the index of the unit it begins, or -1 inside a unit; at last, one past the
            tokens, the number of units.
        offsets: Code point at which each unit begins; at last the text's length.
        blank: For each unit whether it is only white space.
    """

    tokens: tuple[int, ...]
    unit_at: tuple[int, ...]
    offsets: tuple[int, ...]
    blank: tuple[bool, ...]

    def covering(self, start: int, end: int) -> tuple[int, int]:
        """Return the units ``[first, last)`` that cover a span of code points whose edges are not white space."""
        return bisect_right(self.offsets, start) - 1, bisect_left(self.offsets, end)


class UnitTokeniser:
    """Tokenises texts unit by unit, remembering what each unit became.

    Args:
        encode: Token ids of a string, without special tokens.
        max_remembered: Units to remember at most; a corpus repeats few thousand of them nearly always.
    """

    def __init__(self, encode: Callable[[str], Sequence[int]], *, max_remembered: int = 200_000) -> None:
        self._encode = encode
        self._max_remembered = max_remembered
        self._remembered: dict[str, tuple[int, ...]] = {}

    def encode(self, unit: str) -> tuple[int, ...]:
        """Token ids of one unit."""
        ids = self._remembered.get(unit)
        if ids is None:
            ids = tuple(self._encode(_INVISIBLE.sub("", unit) or unit))
            if len(self._remembered) < self._max_remembered:
                self._remembered[unit] = ids
        return ids

    def __call__(self, text: str) -> TokenisedText:
        """Split a source text (not yet shown) into units and tokens."""
        tokens: list[int] = []
        unit_at: list[int] = []
        offsets = [0]
        units = split_units(shown(text))
        for i, unit in enumerate(units):
            ids = self.encode(unit)
            tokens += ids
            unit_at += [i, *[-1] * (len(ids) - 1)]
            offsets.append(offsets[-1] + len(unit))
        unit_at.append(len(units))
        return TokenisedText(tuple(tokens), tuple(unit_at), tuple(offsets), tuple(u.isspace() for u in units))
