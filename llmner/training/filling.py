"""Fills in the types that a corpus does not annotate, with what a model is sure of.

A corpus that has some of a tag set's types can only be asked for these. With the others filled in by a model that
learned them from other corpora, its sentences can be asked for all types at once, as users do.

Invariant: gold mentions stay as they are; a sentence about which the model is in doubt is left out whole.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from llmner.annotations import AnnotatedSentence
from llmner.mentions import Mention
from llmner.tagging.engine import Engine, TaggingRequest
from llmner.tagset import TagSet

_TOGETHER = 1000  # sentences that the engine is given at once


def filled(
    engine: Engine, sentences: Sequence[AnnotatedSentence], annotated: TagSet, whole: TagSet, *, sure: float
) -> Iterator[AnnotatedSentence]:
    """Yield sentences with all types of a tag set.

    Args:
        engine: Finds the other types' mentions. With a bias towards opening tags it also tells what it nearly found,
            with a low score, so that more doubts are seen.
        sentences: Sentences with their gold mentions.
        annotated: The part of the tag set that is annotated in them.
        whole: The tag set.
        sure: Score from which a mention is taken; a sentence in which one is found below it is left out.
    """
    others = whole.narrowed({t.name for t in whole.types} - {t.name for t in annotated.types})
    for first in range(0, len(sentences), _TOGETHER):
        part = sentences[first : first + _TOGETHER]
        results = engine.tag([TaggingRequest(s.text, others) for s in part])
        for sentence, result in zip(part, results, strict=True):
            if result.error is None and (mentions := _together(sentence.mentions, result.mentions, sure)) is not None:
                yield replace(sentence, mentions=mentions)


def _together(gold: Sequence[Mention], found: Sequence[Mention], sure: float) -> tuple[Mention, ...] | None:
    """Join gold mentions and found ones; None where there is doubt."""
    spans = {(m.start, m.end) for m in gold}
    new = [m for m in found if (m.start, m.end) not in spans]  # a gold mention has one type, the gold one
    crossing = any(m.start < g.start < m.end < g.end or g.start < m.start < g.end < m.end for m in new for g in gold)
    if crossing or any(m.score < sure for m in found):
        return None
    return tuple(sorted([*gold, *new], key=lambda m: (m.start, -m.end)))


def to_json(sentence: AnnotatedSentence) -> str:
    """Return a sentence as a line that ``annotations.read_annotations`` reads."""
    entities = [{"start": m.start, "end": m.end, "type": m.type} for m in sentence.mentions]
    return json.dumps({"doc_id": sentence.doc_id, "text": sentence.text, "entities": entities}, ensure_ascii=False)
