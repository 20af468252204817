"""Annotated sentences: what training learns from and evaluation measures against.

A file is JSON lines, one sentence a line: ``{"text", "entities": [{"start", "end", "type"}]}``, other fields
ignored; offsets in code points, end exclusive; mentions may nest and overlap.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmner.errors import InputError, InputNotFoundError
from llmner.mentions import Mention


@dataclass(frozen=True, slots=True)
class AnnotatedSentence:
    """A sentence and its gold mentions."""

    text: str
    mentions: tuple[Mention, ...]


def read_annotations(path: Path, *, types: Iterable[str]) -> list[AnnotatedSentence]:
    """Read annotated sentences.

    Args:
        path: JSON lines.
        types: Names of the types that may occur.

    Raises:
        InputNotFoundError: No such file.
        InputError: A line is not an annotated sentence, a span is not in its text or its type is not known.
    """
    known = set(types)
    try:
        # Not splitlines(): a sentence may hold U+2028 and its like.
        lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{path}: {e}", hint="annotated sentences are JSON lines in UTF-8") from e
    return [_sentence(line, known, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _sentence(line: str, types: set[str], where: str) -> AnnotatedSentence:
    try:
        raw = json.loads(line)
        text = raw["text"]
        mentions = tuple(Mention(e["start"], e["end"], e["type"]) for e in raw["entities"])
    except (ValueError, KeyError, TypeError) as e:
        raise InputError(f"{where}: not an annotated sentence: {e!r}") from e
    for m in mentions:
        if m.end > len(text):
            raise InputError(f"{where}: mention [{m.start}, {m.end}) is outside the text")
        if m.type not in types:
            raise InputError(f"{where}: unknown type {m.type!r}", hint=f"the tag set has {', '.join(sorted(types))}")
    return AnnotatedSentence(text, mentions)
