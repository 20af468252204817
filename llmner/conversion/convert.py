"""Files of an annotated corpus to JSON lines of annotated sentences, and an account of it.

Invariant: a file or document that cannot be read is told and counted, and costs none of the others; no two lines have
the same ``id``.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rich.table import Table

from llmner.conversion import AnnotatedDocument, sentences_of
from llmner.conversion.bio import read_bio
from llmner.conversion.bioc import read_bioc
from llmner.conversion.brat import read_brat
from llmner.conversion.cmeee import read_cmeee
from llmner.conversion.pubtator import read_pubtator
from llmner.errors import ConfigError, InputError, InputNotFoundError

logger = logging.getLogger(__name__)

_BRAT = "brat"  # the one format with two files a document
_READERS: dict[str, Callable[[str, str], Iterator[AnnotatedDocument | InputError]]] = {
    "pubtator": read_pubtator,
    "bioc": read_bioc,
    "bio": read_bio,
    "cmeee": read_cmeee,
}
FORMATS = (*_READERS, _BRAT)


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


def convert(inputs: Iterable[Path], format: str, output: TextIO, *, types: Mapping[str, str] | None = None) -> Account:
    """Convert annotated documents and write their sentences.

    Args:
        inputs: Files; for brat ``.ann`` files or folders of them.
        format: One of ``FORMATS``.
        output: Where the JSON lines go.
        types: Our name for each type that is to be kept; None keeps all as they are.

    Raises:
        ConfigError: No such format.
        InputError: There was not one document to read; the first reason why.
    """
    if format not in FORMATS:
        raise ConfigError(f"format: no such format: {format}", hint=f"one of {', '.join(FORMATS)}")
    account = Account()
    errors: list[InputError] = []
    read_from: dict[str, Path] = {}  # by document
    for path in _files(inputs, format):
        for document in _documents(path, format):
            if isinstance(document, InputError):
                error = document
            elif document.id in read_from:
                message = f"{path}: document {document.id}: a document of this name was read from "
                error = InputError(f"{message}{read_from[document.id]}", hint="convert the files one by one")
            else:
                read_from[document.id] = path
                _write(document, output, types, account)
                continue
            logger.warning("%s", error)
            errors.append(error)
    if not account.documents:
        raise errors[0] if errors else InputError("there is nothing to convert", hint="give files, or folders for brat")
    account.broken = len(errors)
    return account


def _files(inputs: Iterable[Path], format: str) -> Iterator[Path]:
    for path in inputs:
        if format == _BRAT and path.is_dir():
            yield from sorted(path.rglob("*.ann"))
        else:
            yield path


def _documents(path: Path, format: str) -> Iterator[AnnotatedDocument | InputError]:
    """The documents of a file; last, if it or its rest cannot be read, that error."""
    try:
        if format != _BRAT:
            yield from _READERS[format](_text(path), str(path))
        elif path.suffix == ".ann":
            yield read_brat(_text(path), str(path), _text(path.with_suffix(".txt")))
        else:
            raise InputError(f"{path}: not an .ann file", hint="give the .ann files, each with its .txt beside it")
    except InputError as e:
        yield e


def _text(path: Path) -> str:
    """The content of a file, its line ends as they are: they count."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise InputNotFoundError(f"{path}: no such file") from None
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: not UTF-8: {e.reason} at byte {e.start:,}", hint="convert the file to UTF-8") from e


def _write(document: AnnotatedDocument, output: TextIO, types: Mapping[str, str] | None, account: Account) -> None:
    """Write a document's sentences and put it in the account."""
    for problem in document.problems:
        logger.warning("%s", problem)
    account.documents += 1
    account.wrong += len(document.problems)
    account.discontinuous += document.discontinuous
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
            "id": f"{document.id}:{number}",
            "doc_id": document.id,
            "lang": document.lang,
            "text": sentence.text,
            "entities": [{"start": start, "end": end, "type": type} for start, end, type in sorted(entities)],
        }
        output.write(json.dumps(line, ensure_ascii=False) + "\n")


def table(account: Account) -> Table:
    """The account for a terminal."""
    result = Table(title=f"{account.documents:,} documents, {account.sentences:,} sentences", show_header=False)
    result.add_column()
    result.add_column(justify="right")
    for type, count in account.mentions.most_common():
        result.add_row(type, f"{count:,}")
    result.add_section()
    for type, count in account.other_types.most_common():
        result.add_row(f"left out: {type}, not asked for", f"{count:,}")
    result.add_row("left out: of several spans", f"{account.discontinuous:,}")
    result.add_row("left out: wrong", f"{account.wrong:,}")
    result.add_row("files and documents that cannot be read", f"{account.broken:,}")
    return result
