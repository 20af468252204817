"""A run's progress as series for Prometheus, which every node of Ray shows at its metrics port.

Invariant: series begin and end with the process that holds the run's state; what stays of a run is in its manifest.
"""

from ray.util.metrics import Counter, Gauge

from llmner.extraction.counts import Progress

TOTALS = {  # by the attribute of the progress
    "documents": "Documents that the generator's workers are through with.",
    "sentences": "Sentences of them.",
    "mentions": "Mentions found in them.",
    "source_tokens": "Tokens of their sentences, once a tag set.",
}


class Metrics:
    """Shows the progress of one run; Ray puts ``ray_`` before each name, and ``_total`` behind that of a counter.

    Args:
        run_id: Tells its series from those of other runs, as the label ``run``.
        price: See ``JobConfig.price_per_hour``.
    """

    def __init__(self, run_id: str, price: float | None) -> None:
        self._price = price
        self._shown = Progress()
        self._totals = {name: Counter(f"llmner_{name}", said, ("run",)) for name, said in TOTALS.items()}
        self._failures = Counter("llmner_failures", "Documents that failed or were rejected.", ("run", "reason"))
        self._seconds = Counter("llmner_stage_seconds", "Seconds that calls of a stage's model took.", ("run", "stage"))
        said = "Records that are read and not through the generator's workers."
        self._queue = Gauge("llmner_queue", said, ("run",))
        self._cost = Gauge("llmner_cost_per_million_tokens", "What a million source tokens cost so far.", ("run",))
        for series in (*self._totals.values(), self._failures, self._seconds, self._queue, self._cost):
            series.set_default_tags({"run": run_id})

    def show(self, p: Progress) -> None:
        """Show how far the run is now."""
        for name, counter in self._totals.items():
            _increase(counter, getattr(p, name) - getattr(self._shown, name))
        for reason, number in p.reasons.items():
            _increase(self._failures, number - self._shown.reasons.get(reason, 0), reason=reason)
        for stage, seconds in p.spent.items():
            _increase(self._seconds, seconds - self._shown.spent.get(stage, 0.0), stage=stage)
        self._queue.set(max(0, p.records - p.resumed - p.documents))
        if (cost := p.cost(self._price)) is not None:
            self._cost.set(cost)
        self._shown = p


def _increase(counter: Counter, by: float, **tags: str) -> None:
    if by > 0:  # a counter takes nothing else
        counter.inc(by, tags)
