"""A selector that reads nothing again: it weighs what is known from the first reading, and proposes repeats.

Invariant: a score depends on nothing but the sentences of a document that are judged together, their candidates and
the weights; so it can be had again from what a data set stores.
"""

from collections.abc import Sequence
from dataclasses import replace

from llmner.mentions import Mention
from llmner.selection.calibration import Evidence
from llmner.selection.candidates import JudgedSentence
from llmner.selection.competition import nesting_of
from llmner.selection.evidence import DocumentStrings
from llmner.selection.selector import SelectionRequest, SelectionResult, SelectorSettings
from llmner.selection.tuning import tune
from llmner.tagset import TagSet


class WeighingSelector:
    """Weighs what is known without reading a sentence again, see ``evidence``, and proposes repeats.

    Args:
        settings: Calibration, thresholds and what may nest.
        fingerprint: What shapes its scores, see ``SelectorSpec.fingerprint``.
    """

    def __init__(self, settings: SelectorSettings, fingerprint: dict[str, str]) -> None:
        self._settings = settings
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> dict[str, str]:
        """See ``Selector.fingerprint``."""
        return dict(self._fingerprint)

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        """See ``Selector.judge``. A document is judged as far as its sentences are among the requests."""
        documents: dict[tuple[str, TagSet], list[int]] = {}
        for i, request in enumerate(requests):
            documents.setdefault((request.document or f"request {i}", request.tag_set), []).append(i)
        results = [SelectionResult()] * len(requests)
        for (_, tag_set), own in documents.items():
            found = [requests[i].candidates for i in own]
            together, evidence = weighed([requests[i].text for i in own], found)
            scores = iter(self._settings.tuning(tag_set.name).calibration.probabilities(evidence))
            for i, candidates, here in zip(own, found, together, strict=True):
                given = [next(scores) for _ in here]
                count = len(candidates)
                repeats = tuple(zip(here[count:], given[count:], strict=True))
                results[i] = SelectionResult(tuple(given[:count]), repeats=repeats)
        return results


def weighed(
    texts: Sequence[str], candidates: Sequence[Sequence[Mention]]
) -> tuple[list[tuple[Mention, ...]], Evidence]:
    """Return what is to be judged in the sentences of a document, and the evidence of it.

    Args:
        texts: The sentences.
        candidates: What was found in each, with one tag set.

    Returns:
        For each sentence its candidates and behind them its repeats; and their evidence, sentence after sentence.
    """
    repeats = DocumentStrings(texts, candidates).repeats()
    together = [(*own, *more) for own, more in zip(candidates, repeats, strict=True)]
    return together, DocumentStrings(texts, together).evidence()


def fit_weighing(sentences: Sequence[JudgedSentence], *, open_bias: float) -> SelectorSettings:
    """Fit such a selector to a generator's candidates.

    Args:
        sentences: Annotated sentences with candidates, best of whole documents, that the generator was not trained on.
        open_bias: The generator's bias.
    """
    documents: dict[tuple[str, str], list[JudgedSentence]] = {}
    for s in sentences:
        documents.setdefault((s.tag_set, s.document), []).append(s)
    judged: list[JudgedSentence] = []
    evidence: list[Evidence] = []
    for own in documents.values():
        together, columns = weighed([s.text for s in own], [s.candidates for s in own])
        first = 0
        for s, candidates in zip(own, together, strict=True):
            judged.append(replace(s, candidates=candidates))
            last = first + len(candidates)
            evidence.append({name: column[first:last] for name, column in columns.items()})
            first = last
    gold: dict[str, list[list[tuple[int, int, str]]]] = {}
    for s in sentences:
        gold.setdefault(s.tag_set, []).append([(m.start, m.end, m.type) for m in s.gold])
    nesting = {name: nesting_of(own) for name, own in gold.items()}
    return tune(judged, evidence, SelectorSettings(open_bias=open_bias, nesting=nesting))
