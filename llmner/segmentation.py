"""Cuts a text into sentences with exact offsets, English and Chinese alike.

sentencex proposes where sentences end; rules for biomedical writing take back what it gets wrong (``E. coli``,
``5 mg. per kg``, ``(Smith 1999. J. Biol.)``) and add what it misses (``NF-kappa B. Stimulation``, ``24 h. The``).
A rule sees a window of fixed size around one place, so the time is linear in the length of any text.

Invariant: spans are half-open in code points, in order, apart from each other, never empty, without white space at
their ends; together they cover every other code point of the text.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate, pairwise

from sentencex import get_sentence_boundaries

from llmner.documents import Part
from llmner.mentions import Span, trimmed
from llmner.units import split_units

# What shapes the sentences, for a data set's fingerprint: count up when a rule changes.
VERSION = f"2+sentencex-{version('sentencex')}"

_WINDOW = 24  # code points that a rule sees to either side of a place
_MAX_BRACKETED = 250  # a longer stretch between brackets is a lost bracket, not a remark

_BRACKETS = {")": "(", "]": "[", "}": "{", "）": "（", "］": "［", "】": "【"}
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SMALL = "a-zà-öø-ÿα-ω"
_CLOSING = "\"'”’»)\\]}）］】」』》〉"

# sentencex never ends a sentence between quotes, brackets or < and >, however far apart, and takes all from a 5' to
# the next 3' for a quotation; on other characters than ASCII it takes quadratic time. So it is shown none of them.
_UNSHOWN = re.compile(r"[^\x00-\x7f]|[\"'`()\[\]{}<>]")
_WIDE_BLANK = re.compile(r"[^\S\x00-\x7f]")


_ALONE = rf"(?<![^\W_{_HAN}])"  # no letter or digit before; Chinese leaves no blank around Latin words


def _words(*words: str) -> str:
    """Return a pattern for any of the words, which are patterns themselves, as a whole word."""
    return rf"{_ALONE}(?:{'|'.join(' '.join(words).split())})"


_UNITS = "mg kg g ng pg micrograms? ml mL l L dl h hr hrs min sec s mM nM mol kDa kb bp cm mm nm d wk wks mo mos yr yrs"
_NEVER_LAST = _words(
    r"e\.?g i\.?e cf vs viz resp ca approx [Ff]igs? [Ee]qs? [Rr]efs? [Ss]uppl Drs? Mrs? Ms Prof St Vols? pp Nos? nos?"
)
_RARELY_LAST = _words(  # only before a capital letter
    r"al etc spp? ssp subsp var aff nov i\.v i\.p i\.m s\.c p\.o b\.i\.d t\.i\.d q\.i\.d q\.d U\.S U\.K a\.m p\.m",
    r"Inc Ltd Co Corp v wt mEq in [kmd]g-1",
    _UNITS,
)
_MEASURED = rf"[\d)]\s?(?:[^\W\d_]+/)?{_words(_UNITS)}"
_CLASS = _words(  # words that a lone letter belongs to
    r"[Aa]lpha [Bb]eta [Gg]amma [Dd]elta [Kk]appa [Ll]ambda vitamins? hepatitis influenza types? groups? class factor",
    r"protein kinase phase stage grade region domain interdomain subunit chain allele locus box site poly",
    r"cyclosporine? cytochrome actinomycin mitomycin amphotericin toxin immunoglobulin chromosome derivative receptor",
    r"complex",
)
_OPENER = _words(  # words that begin sentences
    r"The This These Those That There They Their It Its In On At As An? We Our Here How However Moreover Furthermore",
    r"Thus Therefore Although Because Since While When Whereas Where If For From To By With Within Without After",
    r"Before During Both Each All Some Most Many Several Among Between Using Finally Additionally Similarly Previously",
    r"Interestingly Conversely Nevertheless Hence Results? Conclusions? Methods? Background Objectives? Patients",
    r"Neither Subsequently Only No Not One Two Three Such Together Overall Further Recent Recently",
)

# Where a sentence may end that sentencex does not see: before a capital letter, and in Chinese.
_LATIN_PLACE = re.compile(rf"[.?!][{_CLOSING}]*[^\S\n]+(?=[A-Z])")
_CITED_PLACE = re.compile(r"(?<=[a-z]{3})\.(?:\[\d[\d,–-]*\]|\d[\d,–-]*)\s+(?=[A-Z])")  # ... in mice.12 The
_CHINESE_PLACE = re.compile(rf"(?:[。！？｡]|．(?!\d)|(?<=[{_HAN}）])[.?!]|[.?!](?=[{_HAN}]))[.?!。！？]*[{_CLOSING}]*")
_TERMINATED = re.compile(rf"[.?!][{_CLOSING}]*$")
_CLOSERS = re.compile(rf"[{_CLOSING}]+\s*")
_BRACKETS_OR_LINE_END = re.compile(r"[()\[\]{}（）［］【】]|[\r\n]+")
_PAUSE = re.compile(r"[；，、：]|[;,:](?=\s)")
_BLANK = re.compile(r"\s+")
# A line end that is no more than a blank: what follows is not the next item of a list either.
_WRAP = re.compile(rf"(?<=[{_SMALL},;\d)/-])[ \t]*(?:\r\n|\n|\r)[ \t]*(?=\(?[{_SMALL}])(?!(?:[a-z]|[ivx]+)[.)]\s|o\s)")

# A place is judged by what stands to its left (a pattern that ends there) and to its right.
_Rule = tuple[re.Pattern[str], re.Pattern[str]]


def _rules(*rules: tuple[str, str]) -> list[_Rule]:
    return [(re.compile(rf"(?:{left})$"), re.compile(right)) for left, right in rules]


_FALSE_ENDS = _rules(
    (r"", r"[,;:)\]%/\-]"),
    (rf"{_NEVER_LAST}\.", r""),
    (rf"{_RARELY_LAST}\.", r"[^A-Z]"),
    (rf"{_ALONE}[A-Z][a-z]{{0,2}}\.", rf"(?!alpha|beta|gamma|delta|kappa)[a-z]{{3,}}(?![^\W{_HAN}]|-)"),  # S. aureus
    (rf"{_ALONE}[A-Z]\.", r"[A-Z]\."),  # J. B. Smith
    (rf"{_ALONE}[A-Z]\.[ -]?[A-Z]\.", rf"(?!{_OPENER}\s)[A-Z]"),  # J.-B. Smith
    (r"\.\.\.|…", r"[a-zα-ω]"),
    (r"[=<>≤≥~±+/-]\s*\d*\.", r"\d"),  # p = 0. 05
    (r"(?:^|[.?!:;]\s+)\(?(?:\d{1,2}|[ivx]+|[IVX]+|[a-z])[.)]", r""),  # an enumerator belongs to what it counts
)
_FALSE_CHINESE_ENDS = _rules(
    (r"(?:^|[^\d.．=<>＝＜＞≤≥])\d{1,2}[.．]", r"\w"),  # 1.目的
    (r"(?:^|[\s，；。])[A-Z][.．]", r"\w"),  # ；B.肺
)
_GLUED_ENDS = _rules((r"[a-z]{3,}\.", r"[A-Z][a-z]*[\s,]"))  # a lost blank
_MISSED_ENDS = _rules(
    (r"", r"[A-Z][A-Z &]{3,30}:"),  # RESULTS:
    (rf"{_MEASURED}\.", r"[A-Z]\w"),
    (rf"{_CLASS}[ -][A-Za-z]\.", r"[A-Z]\w"),
    (rf"{_ALONE}[A-Z]{{2,4}}\.", r"[A-Z][a-z]+ [a-z]"),
    (rf"{_ALONE}[^\W\d]\w{{0,3}}\.", rf"{_OPENER}\s"),
)


def segment_parts(text: str, parts: Sequence[Part], *, max_length: int = 400) -> list[tuple[int, int, int]]:
    """Find the sentences of a document. None goes beyond the part that it is in.

    Args:
        text: The document's text.
        parts: Its parts, in order.
        max_length: See ``segment``.

    Returns:
        Start, end and number of the part of each sentence, in order.
    """
    return [
        (part.start + start, part.start + end, number)
        for number, part in enumerate(parts)
        for start, end in segment(text[part.start : part.end], part.lang, max_length=max_length)
    ]


def segment(text: str, lang: str, *, max_length: int = 400) -> list[Span]:
    """Find the sentences of a text.

    A line end always ends a sentence, but for one in running text that was wrapped: between two words in small
    letters. A sentence longer than ``max_length`` is cut: after punctuation if it can be, at white space if not, then
    between units, and only at last inside a run of letters or digits.

    Args:
        text: Any text.
        lang: Language of the text, an ISO 639-1 code.
        max_length: Code points of the longest span, at least 2.

    Returns:
        Half-open spans in order.
    """
    if max_length < 2:
        raise ValueError(f"max_length must be at least 2, got {max_length}")
    text = _WRAP.sub(lambda wrap: " " * len(wrap[0]), text)
    return [piece for span in _sentences(text, lang) for piece in _pieces(text, *span, max_length)]


def _sentences(text: str, lang: str) -> Iterator[tuple[int, int]]:
    """Whole sentences, trimmed."""
    starts = {0, len(text), *accumulate(len(line) for line in text.splitlines(keepends=True))}
    starts |= _latin_starts(text, lang) | _chinese_starts(text)
    for start, end in pairwise(sorted(starts)):
        span = trimmed(text, start, end)
        if span[0] < span[1]:
            yield span


def _latin_starts(text: str, lang: str) -> set[int]:
    """Return where sentences start after an end in Latin script."""
    shown = _UNSHOWN.sub("~", _WIDE_BLANK.sub(" ", text))
    places = {_behind_closers(text, b["start_index"]) for b in get_sentence_boundaries(lang, shown)}
    places |= {m.end() for m in _LATIN_PLACE.finditer(text) if _fits(_MISSED_ENDS, text, m.end())}
    ends = {place for place in places if _is_end(text, place)} | {m.end() for m in _CITED_PLACE.finditer(text)}
    bracketed = _bracketed(text)
    return {place for place in ends if not bracketed[place]}


def _chinese_starts(text: str) -> set[int]:
    """Return where sentences start after an end in Chinese script, mostly without white space between."""
    places = (m.end() for m in _CHINESE_PLACE.finditer(text))
    return {place for place in places if not _fits(_FALSE_CHINESE_ENDS, text, place)}


def _behind_closers(text: str, place: int) -> int:
    """Return the place behind the closing quotes and brackets that belong to what ends at a place."""
    closers = _CLOSERS.match(text, place)
    return closers.end() if closers and not text[place - 1 : place].isspace() else place


def _bracketed(text: str) -> bytearray:
    """For each place between two code points whether it is inside a bracketed remark of one line."""
    inside = bytearray(len(text) + 1)
    open_: dict[str, list[int]] = {opening: [] for opening in _BRACKETS.values()}
    for m in _BRACKETS_OR_LINE_END.finditer(text):
        character, i = m[0], m.start()
        if character in open_:
            open_[character].append(i)
        elif character in _BRACKETS:
            opened = open_[_BRACKETS[character]]
            if opened and i - (start := opened.pop()) <= _MAX_BRACKETED:
                inside[start + 1 : i + 1] = b"\x01" * (i - start)
        else:
            for opened in open_.values():
                opened.clear()
    return inside


def _is_end(text: str, place: int) -> bool:
    """Return whether a sentence really ends where one may end."""
    if not text[place - 1 : place].isspace():
        return _fits(_GLUED_ENDS, text, place)
    return bool(_TERMINATED.search(_before(text, place))) and not _fits(_FALSE_ENDS, text, place)


def _fits(rules: list[_Rule], text: str, place: int) -> bool:
    """Return whether any of the rules is about this place."""
    before, after = _before(text, place), text[place : place + _WINDOW]
    return any(right.match(after) and left.search(before) for left, right in rules)


def _before(text: str, place: int) -> str:
    """Return the end of what stands before a place, without the white space between, on one line."""
    return text[max(0, place - 2 * _WINDOW) : place].rstrip()[-_WINDOW:]


def _pieces(text: str, start: int, end: int, max_length: int) -> Iterator[tuple[int, int]]:
    """Cut a sentence into pieces of nearly equal length, none longer than ``max_length``."""
    while end - start > max_length:
        cut = start + _cut(text[start : start + max_length + 1], end - start, max_length)
        yield trimmed(text, start, cut)
        start, _ = trimmed(text, cut, end)
    yield start, end


def _cut(window: str, length: int, max_length: int) -> int:
    """Return where to cut the first piece off a sentence.

    Args:
        window: Its first ``max_length + 1`` code points; it begins with no white space.
        length: Code points of the whole sentence.
        max_length: Code points of the longest piece.
    """
    ideal = length / -(-length // max_length)
    near = ideal / 2  # a shorter piece than this is worse than a worse place
    pauses = [m.end() for m in _PAUSE.finditer(window) if m.end() <= max_length]
    blanks = [m.start() for m in _BLANK.finditer(window)]
    for places in ([p for p in pauses if p >= near], [p for p in blanks if p >= near], pauses + blanks):
        if places:
            return min(places, key=lambda p: abs(p - ideal))
    edges = accumulate(len(unit) for unit in split_units(window)[:-1])
    places = [p for p in edges if not _is_mark(window[p])]
    if places:
        return min(places, key=lambda p: abs(p - ideal))
    whole = [p for p in (round(ideal), max_length) if not _is_mark(window[p])]
    return whole[0] if whole else max_length - (not _is_mark(window[max_length - 1]))


def _is_mark(character: str) -> bool:
    """Return whether a character combines with the one before it."""
    return unicodedata.category(character).startswith("M")
