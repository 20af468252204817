"""Annotated sentences: what training learns from and evaluation measures against.

A file is JSON lines, one sentence a line: ``{"doc_id", "text", "entities": [{"start", "end", "type"}]}``, other
fields ignored; offsets in code points, end exclusive; mentions may nest and overlap. The sentences of a document
share its ``doc_id``, which may be absent, and stand in their order.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from llmner.errors import InputError, InputNotFoundError
from llmner.mentions import Mention


@dataclass(frozen=True, slots=True)
class AnnotatedSentence:
    """A sentence and its gold mentions.

    Attributes:
        text: The sentence.
        mentions: Its gold mentions.
        doc_id: The document that it is from; empty where the corpus does not say.
    """

    text: str
    mentions: tuple[Mention, ...]
    doc_id: str = ""

    def mapped(self, types: Mapping[str, str]) -> "AnnotatedSentence":
        """Return the sentence with its mentions under other types' names.

        Args:
            types: The new type of each type; mentions of types that are not in it are left out. Where two mentions
                of one span come to one type, one stays.
        """
        renamed = (replace(m, type=types[m.type]) for m in self.mentions if m.type in types)
        return replace(self, mentions=tuple(dict.fromkeys(renamed)))


def read_annotations(path: Path, *, types: Iterable[str] | None = None) -> list[AnnotatedSentence]:
    """Read annotated sentences, in the file's order.

    Args:
        path: JSON lines.
        types: Names of the types that may occur; by default any.

    Raises:
        InputNotFoundError: No such file.
        InputError: A line is not an annotated sentence, a span is not in its text or its type is not known.
    """
    known = None if types is None else set(types)
    try:
        # Not splitlines(): a sentence may hold U+2028 and its like.
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: {e}", hint="annotated sentences are JSON lines in UTF-8") from e
    return [_sentence(line, known, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def draw(sentences: Sequence[AnnotatedSentence], count: int | None, *, seed: int) -> list[int]:
    """Draw whole documents, so that what a document's sentences say of one another is there.

    Args:
        sentences: Sentences in their order; one that is of no known document stands for itself.
        count: Documents are drawn until there are so many sentences; None takes all.
        seed: Decides which.

    Returns:
        The numbers of the sentences drawn, in order.
    """
    if count is None or count >= len(sentences):
        return list(range(len(sentences)))
    documents: dict[str, list[int]] = {}
    for i, s in enumerate(sentences):
        documents.setdefault(s.doc_id or f"sentence {i}", []).append(i)
    names = list(documents)
    Random(seed).shuffle(names)
    drawn: list[int] = []
    for name in names:
        if len(drawn) >= count:
            break
        drawn += documents[name]
    return sorted(drawn)


def _sentence(line: str, types: set[str] | None, where: str) -> AnnotatedSentence:
    try:
        raw = json.loads(line)
        text = raw["text"]
        mentions = tuple(Mention(e["start"], e["end"], e["type"]) for e in raw["entities"])
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"{where}: not an annotated sentence: {e!r}") from e
    for m in mentions:
        if m.end > len(text):
            raise InputError(f"{where}: mention [{m.start}, {m.end}) is outside the text")
        if types is not None and m.type not in types:
            raise InputError(f"{where}: unknown type {m.type!r}", hint=f"the tag set has {', '.join(sorted(types))}")
    return AnnotatedSentence(text, mentions, str(raw.get("doc_id", "")))
