"""What is known of a candidate without reading its sentence again: its score, and the same string in its document.

A string that is annotated once in a document is annotated nearly everywhere in it. So what the generator made of the
other places of a string speaks for or against it here, and what it left untagged here may be proposed.

Invariant: evidence of a candidate depends on nothing but the sentences of its document and the candidates in them, of
one tag set.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from llmner.mentions import Mention
from llmner.selection.calibration import log_odds
from llmner.units import shown, split_units

VERSION = 1  # raise it when the same candidates would have other evidence
EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "generator": "log odds of the generator's score; 0 of a repeat",
        "repeats": "natural logarithm of one more than the other places of its string",
        "tagged": "mean score that its string has at these with the same type, 0 where it has none",
        "surest": "log odds of the highest of these scores; 0 where there is none",
        "other_type": "mean score that its string has at these with other types",
        "abbreviation": "log odds of the highest score, with the same type, of its long or short form",
        "abbreviated": "1 where that has a score",
        "proposed": "1 of a repeat",
        "proposed_surest": "surest, of a repeat",
    }
)
SURE = 0.5  # score of a string from which on its repeats are proposed
_ABBREVIATION = re.compile(r"\s*\(([^()\s]{2,10})\)")

Key = tuple[str, ...]  # a string: its units in lower case, without white space
Place = tuple[int, int, int]  # sentence, and code points of it


@dataclass(frozen=True, slots=True)
class _Sentence:
    """The units of a sentence that are not white space: how they are compared, and where they lie."""

    units: Key
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "_Sentence":
        units, starts, ends = [], [], []
        offset = 0
        for unit in split_units(shown(text)):
            if stripped := unit.strip():
                units.append(stripped.casefold())
                starts.append(offset + unit.index(stripped))
                ends.append(offset + len(unit))
            offset += len(unit)
        return cls(tuple(units), tuple(starts), tuple(ends))

    def key(self, start: int, end: int) -> Key:
        """Return the string of a span: the units that it touches."""
        return tuple(u for u, s, e in zip(self.units, self.starts, self.ends, strict=True) if s < end and start < e)

    def places(self, lengths: Sequence[int]) -> Iterator[tuple[Key, int, int]]:
        """Yield all strings of so many units with their spans."""
        for n in lengths:
            for i in range(len(self.units) - n + 1):
                yield self.units[i : i + n], self.starts[i], self.ends[i + n - 1]


class DocumentStrings:
    """Where the strings of a document's candidates occur in it.

    Args:
        texts: The sentences.
        candidates: For each the candidates, of one tag set.
    """

    def __init__(self, texts: Sequence[str], candidates: Sequence[Sequence[Mention]]) -> None:
        sentences = [_Sentence.of(text) for text in texts]
        self._candidates = candidates
        self._keys = [[s.key(m.start, m.end) for m in own] for s, own in zip(sentences, candidates, strict=True)]
        self._scores: dict[Place, dict[str, float]] = defaultdict(dict)  # by type
        for s, own in enumerate(candidates):
            for m in own:
                if m.written:
                    self._scores[s, m.start, m.end][m.type] = m.score
        self._places: dict[Key, list[Place]] = {key: [] for own in self._keys for key in own}
        lengths = sorted({len(key) for key in self._places} - {0})
        for i, sentence in enumerate(sentences):
            for key, start, end in sentence.places(lengths):
                if key in self._places and ((i, start, end) in self._scores or not self._covered(i, start, end)):
                    self._places[key].append((i, start, end))
        self._abbreviations = self._find_abbreviations(texts, sentences)

    def repeats(self) -> list[list[Mention]]:
        """Return for each sentence the untagged places of strings that are surely tagged elsewhere.

        Each has the type that its string is surest of, and no score, because no model wrote it.
        """
        surest: dict[Key, tuple[float, str]] = {}
        for keys, own in zip(self._keys, self._candidates, strict=True):
            for key, m in zip(keys, own, strict=True):
                surest[key] = max(surest.get(key, (SURE, "")), (m.score, m.type))
        found: list[list[Mention]] = [[] for _ in self._candidates]
        for key, (_, type_) in surest.items():
            for place in self._places[key]:
                if type_ and place not in self._scores:
                    s, start, end = place
                    found[s].append(Mention(start, end, type_, 0.0, match="repeat"))
        return [sorted(own) for own in found]

    def evidence(self) -> dict[str, list[float]]:
        """Return the evidence of all candidates, sentence after sentence, by its names."""
        rows = [
            self._evidence(s, key, m)
            for s, (keys, own) in enumerate(zip(self._keys, self._candidates, strict=True))
            for key, m in zip(keys, own, strict=True)
        ]
        return {name: [row[name] for row in rows] for name in EVIDENCE}

    def _evidence(self, sentence: int, key: Key, m: Mention) -> dict[str, float]:
        others = [p for p in self._places[key] if p != (sentence, m.start, m.end)]
        here = [self._scores.get(p, {}) for p in others]
        same = [scores[m.type] for scores in here if m.type in scores]
        other = [max((score for type_, score in scores.items() if type_ != m.type), default=0.0) for scores in here]
        mates = [self._best(mate, m.type) for mate in self._abbreviations.get(key, ())]
        known = [score for score in mates if score is not None]
        proposed = not m.written
        surest = log_odds(max(same)) if same else 0.0
        return {
            "generator": 0.0 if proposed else log_odds(m.score),
            "repeats": math.log1p(len(others)),
            "tagged": sum(same) / max(1, len(others)),
            "surest": surest,
            "other_type": sum(other) / max(1, len(others)),
            "abbreviation": log_odds(max(known)) if known else 0.0,
            "abbreviated": float(bool(known)),
            "proposed": float(proposed),
            "proposed_surest": surest * proposed,
        }

    def _best(self, key: Key, type_: str) -> float | None:
        return max(
            (s[type_] for p in self._places.get(key, ()) if type_ in (s := self._scores.get(p, {}))), default=None
        )

    def _covered(self, sentence: int, start: int, end: int) -> bool:
        tagged = (m for m in self._candidates[sentence] if m.written)
        return any(m.start <= start and end <= m.end for m in tagged)

    def _find_abbreviations(self, texts: Sequence[str], sentences: Sequence[_Sentence]) -> dict[Key, set[Key]]:
        """Return which strings stand for one another: a candidate and the short form in parentheses behind it."""
        found: dict[Key, set[Key]] = defaultdict(set)
        for text, sentence, keys, own in zip(texts, sentences, self._keys, self._candidates, strict=True):
            for key, m in zip(keys, own, strict=True):
                short = _ABBREVIATION.match(text, m.end)
                if short and any(c.isupper() for c in short[1]):
                    mate = sentence.key(*short.span(1))
                    found[key].add(mate)
                    found[mate].add(key)
        return found
