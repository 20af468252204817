"""One HTML page that shows the results of an evaluation.

To add a section, write a function from an evaluation to it and list it in ``SECTIONS``.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise

from markupsafe import Markup

from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.figures import Measured
from llmner.evaluation.mistakes import KINDS, Mistake
from llmner.evaluation.scoring import Span
from llmner.report.plots import rates_plot, shares_plot, square_plot
from llmner.report.sections import Cell, Section
from llmner.report.templates import TEMPLATES

_AROUND = 60  # code points of context on either side of a mistake


def evaluation_page(evaluations: Sequence[Evaluation], engine: Mapping[str, str], day: date) -> str:
    """Make the page.

    Args:
        evaluations: The evaluation of each corpus, at least one.
        engine: What was measured, see ``Engine.fingerprint``.
        day: When it was measured.

    Returns:
        A complete HTML document.
    """
    parts = [(e, [section for make in SECTIONS if (section := make(e)) is not None]) for e in evaluations]
    return TEMPLATES.get_template("evaluation.html").render(
        evaluations=evaluations, engine=engine, day=day.isoformat(), overview=overview(evaluations), parts=parts
    )


def overview(evaluations: Sequence[Evaluation]) -> Section:
    """Show all corpora side by side."""
    return Section(
        title="Corpora",
        note="Strict: a mention is right when start, end and type are. Macro is the mean F1 of the types.",
        head=("corpus", "tag set", "sentences", *_RATES, "macro F1"),
        rows=[
            (e.corpus, e.tag_set.name, len(e.sentences), *_rates(e.figures.all), e.scores.macro["f1"])
            for e in evaluations
        ],
        plot=rates_plot({e.corpus: e.figures.all for e in evaluations}),
    )


def by_type(evaluation: Evaluation) -> Section | None:
    """Show the scores by type."""
    return _scores(evaluation, "type", "Types")


def by_nesting(evaluation: Evaluation) -> Section | None:
    """Show the scores of nested and flat mentions."""
    note = (
        "Nested mentions overlap another one of their own side: precision is over the predicted mentions that overlap "
        "predicted ones, recall over the gold mentions that overlap gold ones."
    )
    return _scores(evaluation, "nesting", "Nested and flat mentions", note)


def by_mention_length(evaluation: Evaluation) -> Section | None:
    """Show the scores by length of the mention."""
    note = "In units: a run of letters, a run of digits, a Chinese character or another sign."
    return _scores(evaluation, "mention length", "Length of the mention", note)


def by_sentence_length(evaluation: Evaluation) -> Section | None:
    """Show the scores by length of the sentence."""
    return _scores(evaluation, "sentence length", "Length of the sentence", "In the same units.")


def kinds_of_mistakes(evaluation: Evaluation) -> Section | None:
    """Show mistakes by kind, for each type."""
    counts = evaluation.figures.mistakes
    if not counts:
        return None
    return Section(
        title="Kinds of mistakes",
        note="A predicted mention that is wrong and a gold one that was not found are one mistake where they overlap: "
        "of type (same span), of boundary (same type), or of both. What is left over is spurious or missed. "
        "By type of the gold mention, spurious ones by their own.",
        head=("entity type", *KINDS, "all"),
        rows=[(name, *(kinds[kind] for kind in KINDS), kinds.total()) for name, kinds in counts.items()],
        plot=shares_plot(counts, KINDS),
    )


def frequent_mistakes(evaluation: Evaluation) -> Section | None:
    """Show the most frequent mistakes, each in its first sentence."""
    frequent, texts = evaluation.figures.frequent, evaluation.texts
    if not frequent:
        return None
    return Section(
        title="Most frequent mistakes",
        note="The same words and types are the same mistake. Shown where it was made first: gold is underlined, "
        "what was predicted is shaded.",
        head=("times", "kind", "gold", "predicted", "in context"),
        rows=[(f.times, f.mistake.kind, *_shown(texts[f.sentence], f.mistake)) for f in frequent],
    )


def selector(evaluation: Evaluation) -> Section | None:
    """Show what the selector earned and cost."""
    selected = evaluation.selected
    if selected is None:
        return None
    before, after = selected.before.figures.all, evaluation.figures.all
    marks = {name: (m.score.recall, m.score.precision) for name, m in (("without", before), ("with", after))}
    gain = selected.comparison
    return Section(
        title="Selector: what it keeps",
        note=f"F1 {gain.difference:+.4f}, 95 % interval {gain.interval.low:+.4f} to {gain.interval.high:+.4f}, "
        f"p {gain.p:.3f} (paired bootstrap). Threshold {selected.threshold:.3f}. "
        f"{selected.seconds:.1f} s beside {selected.before.seconds:.1f} s of the generator. "
        "The curve: precision and recall at all thresholds.",
        head=("", *_RATES),
        rows=[("without selector", *_rates(before)), ("with selector", *_rates(after))],
        plot=square_plot(selected.curve, x="recall", y="precision", marks=marks),
    )


def calibration(evaluation: Evaluation) -> Section | None:
    """Show whether the selector's scores are the probabilities that they should be."""
    selected = evaluation.selected
    if selected is None:
        return None
    rows = selected.reliability
    return Section(
        title="Selector: calibration",
        note=f"Of the candidates with a score of about 0.8, 80 % should be right. Expected calibration error "
        f"{selected.calibration_error:.4f}, area under the ROC curve {selected.area_under_curve:.4f}.",
        head=("mean score", "share right", "candidates"),
        rows=rows,
        plot=square_plot([(p, share) for p, share, _ in rows], x="score", y="share right", diagonal=True),
    )


SECTIONS: tuple[Callable[[Evaluation], Section | None], ...] = (
    selector,
    calibration,
    by_type,
    by_nesting,
    by_mention_length,
    by_sentence_length,
    kinds_of_mistakes,
    frequent_mistakes,
)

_RATES = ("gold", "predicted", "precision", "recall", "F1", "95 % interval")


def _rates(measured: Measured) -> tuple[Cell, ...]:
    score = measured.score
    return score.gold, score.predicted, score.precision, score.recall, score.f1, measured.intervals.f1


def _scores(evaluation: Evaluation, by: str, title: str, note: str = "") -> Section | None:
    groups = evaluation.figures.by[by]
    if not groups:
        return None
    rows = [(name, *_rates(measured)) for name, measured in groups.items()]
    return Section(title, note, (by.split()[-1], *_RATES), rows, rates_plot(groups))


def _mention(text: str, mention: Span | None) -> Markup:
    if mention is None:
        return Markup("<small>none</small>")
    start, end, type_ = mention
    return Markup("{} <small>{}</small>").format(text[start:end], type_)


def _shown(text: str, mistake: Mistake) -> tuple[Markup, Markup, Markup]:
    return _mention(text, mistake.gold), _mention(text, mistake.predicted), context(text, mistake)


def context(text: str, mistake: Mistake) -> Markup:
    """Return the words around a mistake, gold and predicted spans marked."""
    start, end = max(0, mistake.span[0] - _AROUND), min(len(text), mistake.span[1] + _AROUND)
    spans = {"gold": mistake.gold, "predicted": mistake.predicted}
    edges = sorted({start, end, *(edge for m in spans.values() if m is not None for edge in m[:2])})
    pieces = [Markup("…" if start else "")]
    for a, b in pairwise(edges):
        classes = [name for name, m in spans.items() if m is not None and m[0] <= a and b <= m[1]]
        pieces.append(
            Markup('<mark class="{}">{}</mark>').format(" ".join(classes), text[a:b])
            if classes
            else Markup.escape(text[a:b])
        )
    return Markup("").join([*pieces, Markup("…" if end < len(text) else "")])
