"""The stage between tagging and writing: a selector of its own judges the mentions that the generator found.

Invariant: no mention is added or removed. Each gets its selector score; whether it is kept follows from the scores of
its document, the threshold and what the annotation lets nest, so it can be decided again from what is stored.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from llmner.documents import DOCUMENT_SCHEMA
from llmner.errors import LlmnerError, ModelError
from llmner.extraction.stages import Attempts, Row, batch_key, end_worker, fail, run_alone, set_parents
from llmner.mentions import Mention
from llmner.selection.competition import Nesting, Rules
from llmner.selection.selector import SelectionRequest, SelectionResult, Selector
from llmner.tagset import TagSet

PREFIX = "selector."  # of its parts in a data set's fingerprint


def decide(mentions: Sequence[Row], rules: Rules) -> None:
    """Write into the judged mentions of a document which of them are kept, and their parents."""
    for name in {m["tag_set"] for m in mentions}:
        own = [m for m in mentions if m["tag_set"] == name and m["selector_score"] is not None]
        spans = [(m["start"], m["end"], m["type"]) for m in own]
        for m, stays in zip(own, rules.kept(spans, [m["selector_score"] for m in own], name), strict=True):
            m["kept"] = stays
    set_parents(mentions)


@dataclass(frozen=True)
class Selection:
    """What a job's selection is.

    Attributes:
        factory: Makes a worker's selector.
        fingerprint: What shapes its scores.
        rules: How they decide.
        mode: ``on``, or ``score-only``: everything is kept.
    """

    factory: Callable[[], Selector]
    fingerprint: Mapping[str, str]
    rules: Rules
    mode: Literal["on", "score-only"]

    def parts(self) -> dict[str, str]:
        """Its parts of a data set's fingerprint."""
        rules = self.rules
        parts = {
            **self.fingerprint,
            "mode": self.mode,
            "threshold": ", ".join(
                [f"{rules.threshold:.6g}", *(f"{k} {t:.6g}" for k, t in sorted(rules.thresholds.items()))]
            ),
            "nesting": json.dumps({k: list(v) for k, v in sorted(rules.nesting.items())}),
        }
        return {PREFIX + key: value for key, value in parts.items()}


def nesting_of_parts(parts: Mapping[str, str]) -> Mapping[str, tuple[Nesting, ...]] | None:
    """What may nest, from the parts of a data set's fingerprint; None where no selector ran."""
    stored = parts.get(f"{PREFIX}nesting")
    return None if stored is None else {k: tuple(v) for k, v in json.loads(stored).items()}


class SelectStage:
    """Judges the mentions of tagged documents with a selector of its own.

    Args:
        selection: The job's.
        tag_sets: Tag sets by language.
        attempts: The memory of attempts.

    Raises:
        ModelError: The selector is another one than the data set says.
    """

    def __init__(self, selection: Selection, tag_sets: Mapping[str, Sequence[TagSet]], attempts: Attempts) -> None:
        # One thread makes and calls the selector, see ``stages.TagStage``.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="selector")
        try:
            self._selector = self._thread.submit(selection.factory).result()
            if self._selector.fingerprint != dict(selection.fingerprint):
                raise ModelError(
                    f"the worker's selector is {self._selector.fingerprint}, "
                    f"the data set is made with {dict(selection.fingerprint)}",
                    hint="give all nodes the same models and the same version of llmner",
                )
        except LlmnerError as e:
            attempts.fail(e)
            raise
        self._selection = selection
        self._tag_sets = {t.name: t for sets in tag_sets.values() for t in sets}
        self._attempts = attempts

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Rows of ``DOCUMENT_SCHEMA`` in and out."""
        rows = batch.to_pylist()
        todo = [row for row in rows if row["mentions"]]
        key = batch_key(rows, stage="select")
        before, _ = self._attempts.begin(key)
        if before == 0:
            self._select(todo, key)
        else:  # a worker died on this batch: find the document that did it
            for row in todo:
                run_alone(row, self._select, self._attempts, stage="select")
        self._attempts.end(key)
        return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)

    def _select(self, rows: Sequence[Row], key: str) -> None:
        requests: list[SelectionRequest] = []
        judged: list[list[Row]] = []  # the mentions of each request
        owners: list[int] = []
        for r, row in enumerate(rows):
            groups: dict[tuple[int, str], list[Row]] = {}
            for m in row["mentions"]:
                groups.setdefault((m["sentence"], m["tag_set"]), []).append(m)
            for (s, name), mentions in groups.items():
                span = row["sentences"][s]
                requests.append(
                    SelectionRequest(
                        row["text"][span["start"] : span["end"]],
                        self._tag_sets[name],
                        tuple(
                            Mention(
                                m["start"] - span["start"], m["end"] - span["start"], m["type"], m["generator_score"]
                            )
                            for m in mentions
                        ),
                    )
                )
                judged.append(mentions)
                owners.append(r)
        results = self._run_selector(requests, key) if requests else []
        for r, mentions, result in zip(owners, judged, results, strict=True):
            if result.error is not None:
                fail(rows[r], result.error, stage="select")
            for m, score in zip(mentions, result.scores, strict=result.error is None):
                m["selector_score"] = float(np.float32(round(score, 4)))  # as it is stored
        for row in rows:
            if self._selection.mode == "on" and row["status"] != "failed":
                decide(row["mentions"], self._selection.rules)
                row["status"] = "ok" if any(m["kept"] for m in row["mentions"]) else "empty"

    def _run_selector(self, requests: Sequence[SelectionRequest], key: str) -> list[SelectionResult]:
        try:
            results = self._thread.submit(self._selector.judge, requests).result()
            if len(results) != len(requests):
                raise RuntimeError(f"the selector gave {len(results)} results for {len(requests)} requests")
        except Exception as e:  # noqa: BLE001 - a selector that raises is broken
            end_worker(e, key, self._attempts)
        return results
