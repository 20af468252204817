"""Trials of ClinicalTrials.gov, as its service gives them: JSON with ``protocolSection``.

Invariant: each text of a study is a part of its own, untouched.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import rejected
from llmner.sources.format import Format
from llmner.sources.json_records import json_records, parse_json
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.texts import Piece, compose

SOURCE = "trials"

_YEAR = re.compile(r"\d{4}")


def read_trials(chunks: Iterable[bytes], source_file: str, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Document]:
    """Read the studies of a file: one, a list, one a line, or an answer of the service.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for the documents and for messages.
        limits: See ``Limits``.

    Yields:
        Documents in order. A study that cannot be read is a document with an error.
    """
    for record in json_records(chunks, source_file, lists=("studies",), limits=limits):
        place = record.place(source_file)
        try:
            yield _document(parse_json(record, source_file, limits), source_file, place, limits)
        except InputError as e:
            yield rejected(SOURCE, source_file, record.number, e)
        except (AttributeError, KeyError, TypeError) as e:
            error = MalformedRecordError(f"{place}: not as ClinicalTrials.gov has it: {e!r}")
            yield rejected(SOURCE, source_file, record.number, error)


def _document(study: dict[str, Any], source_file: str, place: str, limits: Limits) -> Document:
    modules = study["protocolSection"]
    identifier = str(modules["identificationModule"]["nctId"])
    started = _YEAR.match(modules.get("statusModule", {}).get("startDateStruct", {}).get("date", ""))
    return compose(
        SOURCE,
        identifier,
        source_file,
        _pieces(modules),
        separator="\n",
        place=place,
        limits=limits,
        year=int(started[0]) if started else None,
        ids={"nct": identifier},
    )


def _pieces(modules: dict[str, Any]) -> Iterator[Piece]:
    names = modules["identificationModule"]
    yield Piece(names.get("briefTitle", ""), "title")
    yield Piece(names.get("officialTitle", ""), "title", "official title")
    description = modules.get("descriptionModule", {})
    yield Piece(description.get("briefSummary", ""), "abstract")
    yield Piece(description.get("detailedDescription", ""), "text", "description")
    for condition in modules.get("conditionsModule", {}).get("conditions", ()):
        yield Piece(condition, "text", "conditions")
    arms = modules.get("armsInterventionsModule", {})
    for section, holders in (("arms", arms.get("armGroups", ())), ("interventions", arms.get("interventions", ()))):
        for holder in holders:
            yield Piece(holder.get("label", holder.get("name", "")), "methods", section)
            yield Piece(holder.get("description", ""), "methods", section)
    outcomes = modules.get("outcomesModule", {})
    for outcome in (*outcomes.get("primaryOutcomes", ()), *outcomes.get("secondaryOutcomes", ())):
        yield Piece(outcome.get("measure", ""), "methods", "outcomes")
        yield Piece(outcome.get("description", ""), "methods", "outcomes")
    yield Piece(modules.get("eligibilityModule", {}).get("eligibilityCriteria", ""), "methods", "eligibility")


FORMAT = Format(
    name=SOURCE,
    title="ClinicalTrials.gov JSON",
    suffixes=(".json",),
    read=lambda content: read_trials(content.chunks, content.url, limits=content.limits),
    recognises=lambda head: b'"protocolSection"' in head,
    keeps="NCT number, titles, summary, description, conditions, arms, interventions, outcomes, eligibility, year",
    drops="sites, sponsors, results, dates",
    example='{"studies": [{"protocolSection": {"identificationModule": {"nctId": "NCT1", "briefTitle": "Gout"}}}]}',
)
