"""The figures of a model card: one section between two marks, written anew each time.

Invariant: nothing outside the marks is touched, and the same figures give the same card.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from llmner.errors import ConfigError
from llmner.evaluation.evaluate import Evaluation
from llmner.evaluation.figures import Measured

BEGIN = "<!-- figures: written by llmner evaluate -->"
END = "<!-- end of figures -->"
_MARK = re.compile(f"{re.escape(BEGIN)}|{re.escape(END)}")


def figures_section(evaluations: Sequence[Evaluation], engine: Mapping[str, str], day: date) -> str:
    """Return the section: a table with a row for each corpus.

    Args:
        evaluations: The evaluation of each corpus, at least one.
        engine: What was measured, see ``Engine.fingerprint``.
        day: When it was measured.
    """
    rows = []
    for e in evaluations:
        rates = " | ".join(_rate(e.figures.all, name) for name in ("precision", "recall", "f1"))
        rows.append(f"| {_cell(e.corpus)} | {len(e.sentences):,} | {e.figures.all.score.gold:,} | {rates} |")
    lines = [
        "| corpus | sentences | gold mentions | precision | recall | F1 |",
        "|---|---:|---:|---|---|---|",
        *rows,
        "",
        "Strict: a mention is right when start, end and type are. In brackets 95 % intervals, bootstrap over "
        f"sentences. Measured {day.isoformat()}; adapter {engine['adapter'][:19]}, {engine['decoding']}.",
    ]
    return "\n".join(lines)


def with_section(card: str, section: str) -> str:
    """Return the card with its figures replaced; they come last where it had none.

    Raises:
        ConfigError: The section has a beginning and no end, or the other way round, or there are several.
    """
    marks = _MARK.findall(card)
    if marks not in ([], [BEGIN, END]):
        raise ConfigError(
            f"the model card has these marks of a section of figures: {' '.join(marks)}",
            hint="leave one pair, the beginning and the end, or none",
        )
    before, _, rest = card.partition(BEGIN) if marks else (card.rstrip() + "\n\n", "", END + "\n")
    return f"{before}{BEGIN}\n{section}\n{END}{rest.partition(END)[2]}"


def _rate(measured: Measured, name: str) -> str:
    interval = getattr(measured.intervals, name)
    return f"{getattr(measured.score, name):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
