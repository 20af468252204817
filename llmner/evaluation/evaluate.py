"""Measures an engine on annotated sentences.

Invariant: every sentence counts; one the engine failed on counts with no mentions predicted, and is told.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from llmner.annotations import AnnotatedSentence
from llmner.evaluation.scoring import Score, Scores, score
from llmner.tagging.engine import Engine, TaggingRequest, TaggingResult
from llmner.tagset import TagSet


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an engine reached.

    Attributes:
        scores: Strict scores, span and type.
        sentences: Sentences measured.
        failed: Those the engine gave no answer to.
        seconds: Time for all of them together.
        source_tokens: Tokens of the sentences.
        fed_tokens: Tokens the model was fed.
        fingerprint: What engine it was.
    """

    scores: Scores
    sentences: int
    failed: int
    seconds: float
    source_tokens: int
    fed_tokens: int
    fingerprint: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """All of it, for a JSON file."""
        return {
            "scores": self.scores.to_dict(),
            "sentences": self.sentences,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "sentences_per_second": round(self.sentences / self.seconds, 3),
            "source_tokens": self.source_tokens,
            "fed_tokens": self.fed_tokens,
            "engine": self.fingerprint,
        }


def evaluate(engine: Engine, sentences: Sequence[AnnotatedSentence], tag_set: TagSet) -> Evaluation:
    """Tag sentences and compare with their gold mentions.

    Args:
        engine: What to measure.
        sentences: At least one.
        tag_set: The types the sentences are annotated with.
    """
    started = time.perf_counter()
    results = engine.tag([TaggingRequest(s.text, tag_set) for s in sentences])
    seconds = time.perf_counter() - started
    return Evaluation(
        scores=score([_spans(s) for s in sentences], [_spans(r) for r in results]),
        sentences=len(sentences),
        failed=sum(r.error is not None for r in results),
        seconds=seconds,
        source_tokens=sum(r.source_tokens for r in results),
        fed_tokens=sum(r.fed_tokens for r in results),
        fingerprint=engine.fingerprint,
    )


def table(evaluation: Evaluation, title: str) -> Table:
    """The scores as a table for a terminal."""
    scores = evaluation.scores
    rows: dict[str, Score] = {
        **dict(sorted(scores.by_type.items())),
        "flat": scores.flat,
        "nested": scores.nested,
        "all (micro)": scores.micro,
    }
    result = Table(
        title=title,
        caption=f"macro F1 {scores.macro['f1']:.4f}; {evaluation.sentences} sentences, {evaluation.failed} failed, "
        f"{evaluation.sentences / evaluation.seconds:.1f} a second; "
        f"{evaluation.source_tokens / evaluation.seconds:.0f} source tokens a second",
    )
    for column in ("", "precision", "recall", "F1", "gold", "predicted"):
        result.add_column(column, justify="right" if column else "left")
    for name, s in rows.items():
        rates = (f"{x:.4f}" for x in (s.precision, s.recall, s.f1))
        result.add_row(name, *rates, str(s.gold), str(s.predicted), end_section=name in (list(rows)[-4], "nested"))
    return result


def _spans(annotated: AnnotatedSentence | TaggingResult) -> list[tuple[int, int, str]]:
    return [(m.start, m.end, m.type) for m in annotated.mentions]
