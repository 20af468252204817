"""The language of a text: told by its script, and among those of one script by the tag that its source gives.

Invariant: no tag overrules the characters: a text in Chinese characters is Chinese or Japanese, whatever its record
says.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

CHINESE_SHARE = 0.2  # of all letters; one ideograph says as much as several Latin letters
_KANA_SHARE = 0.15  # of all letters; a Chinese text names a product at most
_SCRIPT_SHARE = 0.5  # of all letters
_SAMPLE = 5_000  # code points that are looked at

# Ideographs with their extensions and compatibility forms.
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Any letter that is not Latin; of Greek ones several, because formulas have single ones.
_FOREIGN = re.compile(
    "[\u0400-\u052f\u0590-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3041-\u30fa\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]|[\u0370-\u03ff]{4}"
)
# Where there is none of these, there is no foreign letter: one class is searched for several times as fast as several.
_PERHAPS_FOREIGN = re.compile("[\u0370-\u1fff\u3041-\U0003ffff]")
_KANA = re.compile("[\u3041-\u30fa\u31f0-\u31ff\uff66-\uff9f]")
_LANGUAGES_OF_SCRIPTS = {
    "HANGUL": "ko",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "GREEK": "el",
    "THAI": "th",
    "DEVANAGARI": "hi",
}
_NOT_LATIN = {"zh", "ja", *_LANGUAGES_OF_SCRIPTS.values()}
# MEDLINE's codes and names that people write, where the first two letters are not those of ISO 639-1.
_TAGS = {
    "chi": "zh", "zho": "zh", "chs": "zh", "cht": "zh", "chinese": "zh", "cn": "zh", "中文": "zh", "汉语": "zh",
    "english": "en", "英文": "en", "英语": "en",
    "jpn": "ja", "japanese": "ja", "日文": "ja", "日语": "ja",
    "ger": "de", "deu": "de", "german": "de", "spa": "es", "spanish": "es", "por": "pt", "portuguese": "pt",
    "pol": "pl", "swe": "sv", "dut": "nl", "nld": "nl", "cze": "cs", "ces": "cs", "tur": "tr", "rum": "ro", "ron": "ro",
}  # fmt: skip


def has_chinese(text: str) -> bool:
    """Tell whether there is a Chinese character in a text."""
    return not text.isascii() and _CHINESE.search(text) is not None


def language_of(text: str, tag: str | None = None) -> str:
    """Tell the language of a text.

    ``zh`` is a text of which at least a fifth of the letters are Chinese characters, unless it has kana. A text in
    Latin letters is in the language of its tag, English where there is none.

    Args:
        text: Any text; its beginning decides.
        tag: What its source says: an ISO 639 code, an IETF tag or a name.

    Returns:
        An ISO 639-1 code.
    """
    tagged = _normalised(tag)
    in_latin = "en" if tagged in ("", *_NOT_LATIN) else tagged
    if text.isascii() or not ((first := _PERHAPS_FOREIGN.search(text)) and _FOREIGN.search(text, first.start())):
        return in_latin
    sample = text[:_SAMPLE]
    letters = sum(c.isalpha() for c in sample)
    kana = len(_KANA.findall(sample))
    if kana and kana >= _KANA_SHARE * letters:
        return "ja"
    if (chinese := len(_CHINESE.findall(sample))) and chinese >= CHINESE_SHARE * letters:
        return "ja" if tagged == "ja" else "zh"
    scripts = Counter(_script(c) for c in sample if ord(c) > 0x36F and c.isalpha())
    for script, count in scripts.most_common(1):
        if script in _LANGUAGES_OF_SCRIPTS and count >= _SCRIPT_SHARE * letters:
            return tagged if tagged in _NOT_LATIN - {"zh", "ja"} else _LANGUAGES_OF_SCRIPTS[script]
    return in_latin


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


@lru_cache(maxsize=4096)
def _normalised(tag: str | None) -> str:
    """Return a tag as ISO 639-1; empty where there is none."""
    primary = re.split(r"[-_;,\s]", (tag or "").strip().lower(), maxsplit=1)[0]
    return _TAGS.get(primary, primary[:2])
