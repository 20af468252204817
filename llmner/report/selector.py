"""Gold annotations beside the candidates of a data set: whether its scores are the probabilities that they should be.

Invariant: only sentences count that stand in a document of the data set word for word.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmner.annotations import AnnotatedSentence
from llmner.dataset.snapshot import Snapshot
from llmner.dataset.view import quoted
from llmner.report.plots import square_plot
from llmner.report.sections import Section
from llmner.selection.calibration import area_under_curve, calibration_error, reliability


@dataclass
class Judged:
    """Candidates and what gold annotations say of them.

    Attributes:
        scores: Score of each candidate: the selector's where one judged it, else the generator's.
        right: Whether it is gold.
        kept: Whether the data set keeps it.
        gold: Gold mentions in the sentences that were found.
        sentences: Sentences that were found.
        missing: Sentences that were not.
    """

    scores: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    gold: int = 0
    sentences: int = 0
    missing: int = 0


def judge(snapshot: Snapshot, gold: Sequence[AnnotatedSentence]) -> Judged:
    """Find out which candidates of a data set are gold.

    Args:
        snapshot: The data set.
        gold: Annotated sentences with ``doc_id``, the identifier of their document in its source. Their types are those
            of the data set's tag sets.
    """
    by_document: defaultdict[str, list[AnnotatedSentence]] = defaultdict(list)
    judged = Judged()
    for sentence in gold:
        by_document[sentence.doc_id].append(sentence)
    types = {m.type for sentence in gold for m in sentence.mentions}
    wanted = ", ".join(f"'{quoted(id)}'" for id in by_document if id)
    rows: Sequence[Mapping[str, Any]] = []
    if wanted:
        with snapshot.database() as connection:
            found = connection.sql(f"SELECT source_id, text, mentions FROM documents WHERE source_id IN ({wanted})")
            rows = found.to_arrow_table().to_pylist()
    for row in rows:
        for sentence in by_document.pop(row["source_id"], ()):
            _judge(row, sentence, types, judged)
    judged.missing += sum(map(len, by_document.values()))
    return judged


def _judge(row: Mapping[str, Any], sentence: AnnotatedSentence, types: set[str], judged: Judged) -> None:
    start = row["text"].find(sentence.text)
    if start < 0:
        judged.missing += 1
        return
    end = start + len(sentence.text)
    gold = {(start + m.start, start + m.end, m.type) for m in sentence.mentions}
    judged.sentences += 1
    judged.gold += len(gold)
    for m in row["mentions"]:
        if start <= m["start"] and m["end"] <= end and m["type"] in types:
            judged.scores.append(m["generator_score"] if m["selector_score"] is None else m["selector_score"])
            judged.right.append((m["start"], m["end"], m["type"]) in gold)
            judged.kept.append(m["kept"])


def judged_section(judged: Judged) -> Section | None:
    """Return precision, recall and reliability against gold annotations."""
    if not judged.scores:
        return None
    rows = reliability(judged.scores, judged.right)
    right = sum(r for r, k in zip(judged.right, judged.kept, strict=True) if k)
    precision, recall = right / max(1, sum(judged.kept)), right / max(1, judged.gold)
    return Section(
        title="Scores against gold annotations",
        note=f"{judged.sentences:,} annotated sentences stand in the data set, {judged.missing:,} do not. Precision "
        f"{precision:.3f}, recall {recall:.3f}. Of the candidates with a score of about 0.8, 80 % should be right: "
        f"expected calibration error {calibration_error(judged.scores, judged.right):.4f}, area under the ROC curve "
        f"{area_under_curve(judged.scores, judged.right):.4f}.",
        head=("mean score", "share right", "candidates"),
        rows=rows,
        plot=square_plot([(p, share) for p, share, _ in rows], x="score", y="share right", diagonal=True),
    )
