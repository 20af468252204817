"""Annotated corpora, in the formats in which they are published, as JSON lines of annotated sentences.

Invariant: no mention is lost to a sentence end. A file or document that cannot be read is reported and counted, and
costs none of the others; no two lines have the same ``id``.
"""

import json
import logging
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from llmner.annotations import AnnotatedSentence
from llmner.documents import Annotations, Document
from llmner.errors import ConfigError, InputError, LlmnerError
from llmner.mentions import Mention, Span, trimmed
from llmner.segmentation import segment_parts
from llmner.sources import read_file
from llmner.sources.files import find_files
from llmner.sources.registry import FORMATS, format_named

logger = logging.getLogger(__name__)

# A merged sentence may hold line ends, but a sentence is one line; as many code points as before.
_LINE_ENDS = str.maketrans(dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


@dataclass
class Account:
    """What became of everything that was to be converted.

    Attributes:
        documents: Documents read.
        sentences: Sentences written.
        mentions: Mentions written, by type.
        broken: Files and documents that could not be read.
        wrong: Mentions (and sentences) left out because they are not as the format has them, spans that do not hold
            the mention's text above all.
        discontinuous: Mentions left out because they consist of several spans.
        other_types: Mentions left out because their type was not asked for, by type.
    """

    documents: int = 0
    sentences: int = 0
    mentions: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    wrong: int = 0
    discontinuous: int = 0
    other_types: Counter[str] = field(default_factory=Counter)


def convert(inputs: Iterable[str], format: str, output: TextIO, *, types: Mapping[str, str] | None = None) -> Account:
    """Convert annotated documents and write their sentences.

    Args:
        inputs: Files, folders and patterns, as URLs or local paths.
        format: Name of a format that holds annotations.
        output: Where the JSON lines go.
        types: Our name for each type that is to be kept; None keeps all as they are.

    Raises:
        ConfigError: No such format, or one without annotations.
        InputError: There was not one document to read; the first reason why.
    """
    if not format_named(format).corpus:
        known = ", ".join(f.name for f in FORMATS if f.corpus)
        raise ConfigError(f"format: {format} holds no annotations", hint=f"one of {known}")
    account = Account()
    errors: list[LlmnerError] = []
    read_from: dict[str, str] = {}  # by document
    for document in _documents(inputs, format):
        id, file = document.source_id, document.source_file
        if error := document.error or _repeated(id, file, read_from.get(id)):
            logger.warning("%s", error)
            errors.append(error)
        else:
            read_from[id] = file
            _write(document, output, types, account)
    if not account.documents:
        raise errors[0] if errors else InputError("there is no document in the inputs")
    account.broken = len(errors)
    return account


def _documents(inputs: Iterable[str], format: str) -> Iterator[Document]:
    """Yield the documents of all inputs; an input that cannot be read is one with an error."""
    for url in inputs:
        try:
            files = find_files([url], format)
        except InputError as e:
            yield Document("file", url, url, "", error=e)
        else:
            for file in files:
                yield from read_file(file)


def _repeated(id: str, file: str, before: str | None) -> InputError | None:
    """Return the error of a document whose name was read before."""
    if before is None:
        return None
    message = f"{file}: document {id}: a document of this name was read from {before}"
    return InputError(message, hint="convert the files one by one")


def _write(document: Document, output: TextIO, types: Mapping[str, str] | None, account: Account) -> None:
    """Write a document's sentences and put it in the account."""
    annotations = document.annotations or Annotations(())
    for problem in annotations.problems:
        logger.warning("%s", problem)
    account.documents += 1
    account.wrong += len(annotations.problems)
    account.discontinuous += annotations.discontinuous
    for number, sentence in enumerate(sentences_of(document)):
        account.sentences += 1
        entities = set()
        for m in sentence.mentions:
            if types is None or m.type in types:
                entities.add((m.start, m.end, types[m.type] if types else m.type))
            else:
                account.other_types[m.type] += 1
        account.mentions.update(type for _, _, type in entities)
        line = {
            "id": f"{document.source_id}:{number}",
            "doc_id": document.source_id,
            "lang": document.lang,
            "text": sentence.text,
            "entities": [{"start": start, "end": end, "type": type} for start, end, type in sorted(entities)],
        }
        output.write(json.dumps(line, ensure_ascii=False) + "\n")


def sentences_of(document: Document) -> list[AnnotatedSentence]:
    """Cut an annotated document into sentences; those that a mention runs across become one.

    White space at the ends of a mention is no part of it.
    """
    text, annotations = document.text, document.annotations or Annotations(())
    mentions = sorted({Mention(*trimmed(text, m.start, m.end), m.type) for m in annotations.mentions})
    found = [(start, end) for start, end, _ in segment_parts(text, document.parts)]
    spans = _merged(annotations.sentences or found, mentions)
    starts = [start for start, _ in spans]
    inside: list[list[Mention]] = [[] for _ in spans]
    for m in mentions:
        i = bisect_right(starts, m.start) - 1
        inside[i].append(Mention(m.start - starts[i], m.end - starts[i], m.type))
    return [
        AnnotatedSentence(text[start:end].translate(_LINE_ENDS), tuple(found))
        for (start, end), found in zip(spans, inside, strict=True)
    ]


def _merged(spans: Sequence[Span], mentions: Sequence[Mention]) -> list[Span]:
    """Return the spans, as one where a mention begins in one and ends in a later one."""
    starts = [start for start, _ in spans]
    joined = bytearray(len(spans))  # whether a span belongs to the one before it
    for m in mentions:
        first, last = bisect_right(starts, m.start) - 1, bisect_left(starts, m.end) - 1
        joined[first + 1 : last + 1] = b"\x01" * (last - first)
    result: list[Span] = []
    for span, belongs in zip(spans, joined, strict=True):
        if belongs:
            result[-1] = (result[-1][0], span[1])
        else:
            result.append(span)
    return result
