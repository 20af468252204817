"""Measures an engine on annotated sentences.

Invariant: every sentence counts; one the engine failed on counts with no mentions predicted, and is told.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmner.annotations import AnnotatedSentence
from llmner.evaluation.figures import Figures, figures
from llmner.evaluation.scoring import Scores, Span, score
from llmner.tagging.engine import Engine, TaggingRequest, TaggingResult
from llmner.tagset import TagSet

if TYPE_CHECKING:
    from llmner.evaluation.selection import Selected

REPORTED = 200  # sentences after which progress is told


@dataclass(frozen=True)
class Evaluation:
    """What an engine made of the sentences of a corpus.

    Attributes:
        corpus: Name of the corpus.
        tag_set: The types that count.
        sentences: Its sentences, with their gold mentions.
        results: What the engine made of them, in the same order.
        seconds: Time for all of them together.
        selected: What the selector did, where one took part.
    """

    corpus: str
    tag_set: TagSet
    sentences: Sequence[AnnotatedSentence]
    results: Sequence[TaggingResult]
    seconds: float
    selected: "Selected | None" = None

    @cached_property
    def gold(self) -> list[list[Span]]:
        """Gold mentions of each sentence."""
        return [_spans(s) for s in self.sentences]

    @cached_property
    def predicted(self) -> list[list[Span]]:
        """Predicted mentions of each sentence."""
        return [_spans(r) for r in self.results]

    @cached_property
    def scores(self) -> Scores:
        """Strict scores: a mention is right when its span and its type are."""
        return score(self.gold, self.predicted)

    @cached_property
    def figures(self) -> Figures:
        """Scores by group with intervals, and mistakes."""
        return figures(self.texts, self.gold, self.predicted, [t.name for t in self.tag_set.types])

    @property
    def texts(self) -> list[str]:
        """The sentences' texts."""
        return [s.text for s in self.sentences]

    @property
    def failed(self) -> int:
        """Sentences that the engine gave no answer to."""
        return sum(r.error is not None for r in self.results)

    @property
    def source_tokens(self) -> int:
        """Tokens of the sentences."""
        return sum(r.source_tokens for r in self.results)

    @property
    def source_tokens_per_second(self) -> float:
        """Source tokens tagged a second."""
        return self.source_tokens / self.seconds

    @property
    def fed_tokens(self) -> int:
        """Tokens the model was fed, kept prompt prefixes not counted."""
        return sum(r.fed_tokens for r in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for a JSON file."""
        return {
            "corpus": self.corpus,
            "tag_set": self.tag_set.name,
            "sentences": len(self.sentences),
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "source_tokens": self.source_tokens,
            "source_tokens_per_second": round(self.source_tokens_per_second, 1),
            "fed_tokens": self.fed_tokens,
            "scores": self.figures.to_dict(self.texts) | {"macro": self.scores.macro},
            **({"selector": self.selected.to_dict()} if self.selected else {}),
        }


def evaluate(
    engine: Engine,
    sentences: Sequence[AnnotatedSentence],
    tag_set: TagSet,
    *,
    corpus: str | None = None,
    types: Collection[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Tag sentences, to compare them with their gold mentions.

    Args:
        engine: What to measure.
        sentences: At least one.
        tag_set: The types to ask for.
        corpus: Name of the corpus; by default the tag set's.
        types: Those of the types that the sentences are annotated with; what is found of others does not count. By
            default all of them.
        progress: Called with the number of sentences that are tagged, and of all.
    """
    corpus = corpus or tag_set.name
    requests = [TaggingRequest(s.text, tag_set) for s in sentences]
    results: list[TaggingResult] = []
    started = time.perf_counter()
    for first in range(0, len(requests), REPORTED):
        results += engine.tag(requests[first : first + REPORTED])
        if progress is not None:
            progress(len(results), len(requests))
    if types is not None:
        tag_set = tag_set.narrowed(types)
        results = [replace(r, mentions=tuple(m for m in r.mentions if m.type in types)) for r in results]
    return Evaluation(corpus, tag_set, tuple(sentences), tuple(results), time.perf_counter() - started)


def _spans(annotated: AnnotatedSentence | TaggingResult) -> list[Span]:
    return [(m.start, m.end, m.type) for m in annotated.mentions]
