"""The text of a document: put together from its parts, bounded, and its language told by its script.

Invariant: the title is the beginning of the text; a text is Chinese or it is English, and no language tag of a
source overrules its characters.
"""

import re
from typing import Literal

from llmner.errors import DocumentTooLargeError

# For a data set's fingerprint: raise it when the same file would give other texts or languages.
VERSION = 1

Lang = Literal["en", "zh"]

MAX_TEXT = 2_000_000  # code points of one document
CHINESE_SHARE = 0.2  # of all letters; one ideograph says as much as several Latin letters

# Ideographs with their extensions and compatibility forms.
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def join_text(title: str, body: str, *, max_text: int, place: str) -> str:
    """Title, one space, body; one of them alone where the other is empty.

    Raises:
        DocumentTooLargeError: That would be more than ``max_text`` code points.
    """
    text = f"{title} {body}" if title and body else title or body
    check_length(text, max_text=max_text, place=place)
    return text


def check_length(text: str, *, max_text: int, place: str) -> None:
    """Refuse a text that is too long.

    Raises:
        DocumentTooLargeError: It has more than ``max_text`` code points.
    """
    if len(text) > max_text:
        message = f"{place}: the text has {len(text):,} characters, more than {max_text:,}"
        raise DocumentTooLargeError(message, hint="split it into several documents")


def has_chinese(text: str) -> bool:
    """Whether there is a Chinese character in it."""
    return not text.isascii() and _CHINESE.search(text) is not None


def language_of(text: str) -> Lang:
    """``zh`` for a text of which at least a fifth of the letters are Chinese characters, else ``en``."""
    if not has_chinese(text):
        return "en"
    letters = sum(c.isalpha() for c in text)
    return "zh" if len(_CHINESE.findall(text)) >= CHINESE_SHARE * letters else "en"
