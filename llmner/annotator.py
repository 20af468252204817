"""Documents in, annotated documents out: segment, tag, select, in this process.

An ``Annotator`` takes the three steps one after another. Each step is a class of its own, so that a pipeline can give
each its own workers. A step works on rows: documents as dictionaries with the columns of a data set.

Invariant: a step writes into the rows it is given and adds, drops or reorders none. What goes wrong with one document
is written into its row and touches no other; a model that is broken itself raises.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from llmner.documents import NO_TAG_SET, Document, Part, Row, document_row
from llmner.errors import LlmnerError, TaggingError
from llmner.mentions import Mention, parents
from llmner.segmentation import segment_parts
from llmner.selection.competition import Rules
from llmner.selection.selector import SelectionRequest, Selector
from llmner.tagging.engine import Engine, TaggingRequest, TaggingResult
from llmner.tagset import TagSet

logger = logging.getLogger(__name__)

TagSets = Mapping[str, Sequence[TagSet]]  # by language

CANARIES: Mapping[str, str] = MappingProxyType({"en": "Aspirin lowers fever.", "zh": "阿司匹林可以退热。"})  # harmless

Request = TypeVar("Request")
Result = TypeVar("Result")


class Step(Protocol):
    """A part of annotation that goes over many documents at once."""

    name: ClassVar[str]  # the stage that errors name

    def takes(self, row: Row) -> bool:
        """Return whether the step has something to do with a document."""
        ...

    def __call__(self, rows: Sequence[Row]) -> None:
        """Write into documents that it takes what it finds."""
        ...

    def canaries(self) -> list[Row]:
        """Return harmless documents: if the step cannot take them, the fault is its model's."""
        ...


class Annotator:
    """Finds the mentions of documents.

    Args:
        generator: Finds mentions.
        tag_sets: Tag sets by language of the document.
        selector: Judges what the generator found; None where all of it is kept.
        rules: Decide by the selector's scores; None keeps all and notes the scores.
        max_sentence: Code points above which a sentence is cut at a safe place.
    """

    def __init__(
        self,
        generator: Engine,
        tag_sets: TagSets,
        *,
        selector: Selector | None = None,
        rules: Rules | None = None,
        max_sentence: int = 400,
    ) -> None:
        self._steps: list[Step] = [Segmenter(max_sentence), Tagger(generator, tag_sets)]
        if selector is not None:
            self._steps.append(Judge(selector, tag_sets, rules))

    def annotate(self, documents: Sequence[Document]) -> list[Row]:
        """Annotate documents.

        Returns:
            A row for each document, with the columns of a data set but for those that a run adds: ``record`` and
            ``run_id``.
        """
        rows = [document_row(d) for d in documents]
        for step in self._steps:
            step([row for row in rows if step.takes(row)])
        return rows


class Segmenter:
    """Cuts documents into sentences and gives each its final columns.

    Args:
        max_length: Code points above which a sentence is cut at a safe place.
    """

    name: ClassVar[str] = "segment"

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length

    def takes(self, row: Row) -> bool:
        """Every document gets its columns."""
        return True

    def canaries(self) -> list[Row]:
        """See ``Step``."""
        return [document_row(Document("canary", lang, "", text, lang=lang)) for lang, text in CANARIES.items()]

    def __call__(self, rows: Sequence[Row]) -> None:
        """See ``Step``. Documents without any text are ``empty``."""
        for row in rows:
            row |= {"sentences": [], "mentions": [], "source_tokens": 0, "fed_tokens": 0}
            if row["status"] != "read":
                continue
            if not row["text"].strip():
                row["status"] = "empty"
                continue
            try:
                parts = [Part(**part) for part in row["parts"]]
                found = segment_parts(row["text"], parts, max_length=self._max_length)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is this document's alone
                fail(row, e, stage=self.name)
            else:
                row["sentences"] = [{"start": start, "end": end, "part": part} for start, end, part in found]


class Tagger:
    """Finds the mentions of segmented documents.

    All sentences of the documents, for all tag sets of their languages, go into one call of the generator.

    Args:
        generator: The engine.
        tag_sets: Tag sets by language.
    """

    name: ClassVar[str] = "tag"

    def __init__(self, generator: Engine, tag_sets: TagSets) -> None:
        self._generator = generator
        self._tag_sets = tag_sets

    def takes(self, row: Row) -> bool:
        """Documents that nothing has gone wrong with, and that have a text."""
        return bool(row["status"] == "read")

    def canaries(self) -> list[Row]:
        """See ``Step``."""
        segmenter = Segmenter(max_length=400)
        rows = [row for row in segmenter.canaries() if row["lang"] in self._tag_sets]
        segmenter(rows)
        return rows

    def __call__(self, rows: Sequence[Row]) -> None:
        """See ``Step``. Afterwards no document has the status ``read``."""
        requests: list[TaggingRequest] = []
        places: list[tuple[int, int]] = []  # row, sentence
        for r, row in enumerate(rows):
            for s, span in enumerate(row["sentences"]):
                for tag_set in self._tag_sets.get(row["parts"][span["part"]]["lang"], ()):
                    requests.append(TaggingRequest(row["text"][span["start"] : span["end"]], tag_set))
                    places.append((r, s))
        results = _answers(self._generator.tag, requests)
        found: list[list[tuple[int, TaggingRequest, TaggingResult]]] = [[] for _ in rows]
        for (r, s), request, result in zip(places, requests, results, strict=True):
            found[r].append((s, request, result))
        for row, answers in zip(rows, found, strict=True):
            if not answers:
                languages = ", ".join(sorted({row["parts"][s["part"]]["lang"] for s in row["sentences"]}))
                row |= {"status": "empty", "error_class": NO_TAG_SET, "error_stage": self.name}
                row["error_message"] = f"there is no tag set for language {languages}"
                continue
            try:
                _assemble(row, answers)
            except Exception as e:  # noqa: BLE001 - whatever it is, it is this document's alone
                fail(row, e, stage=self.name)


class Judge:
    """Scores the mentions of tagged documents, and decides which of them are kept.

    No mention is removed, and what the selector proposes is added: whether one is kept follows from the scores of its
    document and the rules, so it can be decided again from what is stored.

    Args:
        selector: Gives the scores.
        tag_sets: Tag sets by language.
        rules: Decide by the scores; None keeps all.
    """

    name: ClassVar[str] = "select"

    def __init__(self, selector: Selector, tag_sets: TagSets, rules: Rules | None) -> None:
        self._selector = selector
        self._tag_sets = {t.name: t for sets in tag_sets.values() for t in sets}
        self._rules = rules

    def takes(self, row: Row) -> bool:
        """Documents with mentions."""
        return bool(row["mentions"])

    def canaries(self) -> list[Row]:
        """See ``Step``."""
        rows = []
        for t in self._tag_sets.values():
            text = CANARIES[t.lang]
            row = document_row(Document("canary", t.name, "", text, lang=t.lang))
            answer = TaggingResult((Mention(0, len(text) - 1, t.types[0].name, 0.5),))
            row |= {"sentences": [{"start": 0, "end": len(text), "part": 0}]}
            _assemble(row, [(0, TaggingRequest(text, t), answer)])
            rows.append(row)
        return rows

    def __call__(self, rows: Sequence[Row]) -> None:
        """See ``Step``. Documents of whose mentions none is kept are ``empty``."""
        requests: list[SelectionRequest] = []
        judged: list[tuple[Row, int, list[Row]]] = []  # document, sentence, and its mentions of each request
        for r, row in enumerate(rows):
            found: dict[str, dict[int, list[Row]]] = {}  # by tag set and sentence
            for m in row["mentions"]:
                found.setdefault(m["tag_set"], {}).setdefault(m["sentence"], []).append(m)
            for name, by_sentence in found.items():
                tag_set = self._tag_sets[name]
                for s, sentence in enumerate(row["sentences"]):
                    if row["parts"][sentence["part"]]["lang"] == tag_set.lang:
                        own = by_sentence.get(s, [])
                        requests.append(self._request(row, sentence, tag_set, own, document=str(r)))
                        judged.append((row, s, own))
        results = _answers(self._selector.judge, requests)
        for (row, s, mentions), request, result in zip(judged, requests, results, strict=True):
            if result.error is not None:
                fail(row, result.error, stage=self.name)
            for m, score in zip(mentions, result.scores, strict=result.error is None):
                m["selector_score"] = _stored(score)
            for repeat, score in result.repeats if row["status"] != "failed" else ():
                new = _mention_row(repeat, request.text, row["sentences"][s]["start"], s, request.tag_set.name)
                row["mentions"].append(new | {"selector_score": _stored(score), "kept": False})
        for row in rows:
            if row["status"] == "failed":
                continue
            row["mentions"].sort(key=_order)
            if self._rules is None:
                _set_parents(row["mentions"])
            else:
                decide(row["mentions"], rules=self._rules)
                row["status"] = "ok" if any(m["kept"] for m in row["mentions"]) else "empty"

    @staticmethod
    def _request(
        row: Row, sentence: Row, tag_set: TagSet, mentions: Sequence[Row], *, document: str
    ) -> SelectionRequest:
        start, end = sentence["start"], sentence["end"]
        candidates = (
            Mention(m["start"] - start, m["end"] - start, m["type"], m["generator_score"], m["match"]) for m in mentions
        )
        return SelectionRequest(row["text"][start:end], tag_set, tuple(candidates), document)


class TaggerAndJudge:
    """Both steps as one, where the selector needs no workers of its own.

    Args:
        tagger: The first.
        judge: The second.
    """

    name: ClassVar[str] = Tagger.name

    def __init__(self, tagger: Tagger, judge: Judge) -> None:
        self._tagger = tagger
        self._judge = judge

    def takes(self, row: Row) -> bool:
        """See ``Tagger``."""
        return self._tagger.takes(row)

    def canaries(self) -> list[Row]:
        """See ``Tagger``."""
        return self._tagger.canaries()

    def __call__(self, rows: Sequence[Row]) -> None:
        """See ``Step``."""
        self._tagger(rows)
        self._judge([row for row in rows if self._judge.takes(row)])


def decide(mentions: Sequence[Row], *, rules: Rules) -> None:
    """Write into the judged mentions of a document which of them are kept, and their parents."""
    for name in {m["tag_set"] for m in mentions}:
        own = [m for m in mentions if m["tag_set"] == name and m["selector_score"] is not None]
        spans = [(m["start"], m["end"], m["type"]) for m in own]
        for m, stays in zip(own, rules.kept(spans, [m["selector_score"] for m in own], name), strict=True):
            m["kept"] = stays
    _set_parents(mentions)


def fail(row: Row, error: Exception, *, stage: str) -> None:
    """Write into a document's row that it failed, and why."""
    if not isinstance(error, LlmnerError):
        logger.error("document %s failed at %s", row["source_id"], stage, exc_info=error)
    row |= {"status": "failed", "mentions": [], "error_class": type(error).__name__}
    row |= {"error_message": str(error), "error_stage": stage}


def _answers(ask: Callable[[Sequence[Request]], list[Result]], requests: Sequence[Request]) -> list[Result]:
    """Ask a model, and hold it to one result for each request."""
    results = ask(requests) if requests else []
    if len(results) != len(requests):
        raise RuntimeError(f"the model gave {len(results)} results for {len(requests)} requests")
    return results


def _assemble(row: Row, answers: Sequence[tuple[int, TaggingRequest, TaggingResult]]) -> None:
    """Write a document's mentions, with offsets into the document, into its row."""
    mentions: list[Row] = []
    row["source_tokens"] = sum(result.source_tokens for _, _, result in answers)
    row["fed_tokens"] = sum(result.fed_tokens for _, _, result in answers)
    for s, request, result in answers:
        if result.error is not None:
            raise result.error
        offset = row["sentences"][s]["start"]
        for m in result.mentions:
            if m.end > len(request.text):
                raise TaggingError(f"mention [{m.start}, {m.end}) is outside its sentence of {len(request.text)}")
            mentions.append(_mention_row(m, request.text, offset, s, request.tag_set.name))
    mentions.sort(key=_order)
    _set_parents(mentions)
    row["mentions"] = mentions
    row["status"] = "ok" if mentions else "empty"


def _mention_row(m: Mention, text: str, offset: int, sentence: int, tag_set: str) -> Row:
    """Return a mention as a data set stores it.

    Args:
        m: Its offsets are of the sentence.
        text: The sentence.
        offset: Where the sentence begins in the document.
        sentence: Its number there.
        tag_set: Name of the tag set.
    """
    return {
        "start": offset + m.start,
        "end": offset + m.end,
        "text": text[m.start : m.end],
        "type": m.type,
        "tag_set": tag_set,
        "sentence": sentence,
        "parent": None,
        "generator_score": _stored(m.score),
        "selector_score": None,
        "kept": True,
        "match": m.match,
    }


def _order(mention: Row) -> tuple[int, int, str, str]:
    """Return what the mentions of a document are sorted by."""
    return mention["start"], -mention["end"], mention["tag_set"], mention["type"]


def _stored(score: float) -> float:
    """Return a score as a data set stores it, so that what follows from it is the same before and after."""
    return float(np.float32(round(score, 4)))


def _set_parents(mentions: Sequence[Row]) -> None:
    """Write into each kept mention which kept one of its tag set encloses it; one that is not kept has no parent."""
    for m in mentions:
        m["parent"] = None
    for name in {m["tag_set"] for m in mentions}:
        indices = [i for i, m in enumerate(mentions) if m["kept"] and m["tag_set"] == name]
        spans = [(mentions[i]["start"], mentions[i]["end"]) for i in indices]
        for i, parent in zip(indices, parents(spans), strict=True):
            mentions[i]["parent"] = None if parent is None else indices[parent]
