"""A token a line and its tag in the last column: BIO, IOB2, IOBES, and what else writes their letters (BMES, BILOU).

Invariant: a sentence is its tokens, in English with a blank between, in Chinese without; its spans are theirs. A
mention begins with a tag that begins one; elsewhere an inner tag on its own is a mistake and reported.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import PurePath
from typing import NamedTuple

from llmner.documents import Document
from llmner.mentions import Span
from llmner.sources.annotated import Draft
from llmner.sources.format import Format, by_name_only
from llmner.sources.languages import language_of
from llmner.sources.texts import Piece, compose

SOURCE = "bio"

_TAG = re.compile(r"O|([BIESMLU])[-_](\S+)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]+")  # in Chinese a wide blank may be a token
_BLANK_TOKEN = re.compile(r" [ \t]+(\S+)")
_BEGINS = "BSU"
_DOCUMENT = re.compile(r"-DOCSTART-.*|###\s*MEDLINE:\s*(?P<id>\S+)")
_COMMENT = re.compile(r"# [\w.]+ = .*")

_Row = tuple[str, str]  # token, tag


class _Sentence(NamedTuple):
    number: int  # of its first line
    lines: list[list[str]]  # the columns of each


def read_bio(text: str, file: str) -> Iterator[Document]:
    """Read the documents of a file of tagged tokens.

    A file in which a tag ``B`` stands only between two mentions of one type, or nowhere, is IOB1 or IO: there an inner
    tag begins a mention, too.

    Args:
        text: The file's content: columns between white space or commas, a blank line after each sentence, a line
            ``-DOCSTART-`` or ``###MEDLINE:id`` before each document; without any, the file is one document.
        file: Its name, for messages.

    Yields:
        Documents in order, a sentence a line.
    """
    documents = list(_documents(text))
    sentences = [sentence for _, found in documents for sentence in found]
    tokens = "".join(columns[0] for sentence in sentences for columns in sentence.lines)
    blank = "" if language_of(tokens) == "zh" else " "
    inner_begins = all(_is_iob1(sentence) for sentence in sentences)
    for number, (id, found) in enumerate(documents, 1):
        yield _document(found, id or f"{PurePath(file).stem}-{number}", file, blank, inner_begins)


def _documents(text: str) -> Iterator[tuple[str, list[_Sentence]]]:
    """Yield the identifier, if there is one, and the sentences of each document."""
    id = ""
    sentences: list[_Sentence] = []
    fresh = True
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if mark := _DOCUMENT.fullmatch(line.strip()):
            if sentences:
                yield id, sentences
            id, sentences, fresh = mark["id"] or "", [], True
        elif not line.strip():
            fresh = True
        elif not _COMMENT.fullmatch(line):
            if fresh:
                sentences.append(_Sentence(number, []))
                fresh = False
            sentences[-1].lines.append(_columns(line))
    if sentences:
        yield id, sentences


def _columns(line: str) -> list[str]:
    if blank := _BLANK_TOKEN.fullmatch(line):
        return [" ", blank[1]]
    columns = _BLANKS.split(line.strip(" \t"))
    if len(columns) == 1 and "," in line:
        columns = list(columns[0].rpartition(",")[::2])
    return columns


def _is_iob1(sentence: _Sentence) -> bool:
    """Return whether each tag that begins a mention stands right behind a mention of its type."""
    tags = ["O", *(columns[-1].upper() for columns in sentence.lines)]
    return all(a[1:] == b[1:] and b[:1] == "B" for a, b in pairwise(tags) if b[:1] in _BEGINS)


def _document(sentences: list[_Sentence], id: str, file: str, blank: str, inner_begins: bool) -> Document:
    pieces: list[Piece] = []
    spans: list[Span] = []
    found: list[tuple[Span, str]] = []
    problems: list[str] = []
    start = 0
    for number, lines in sentences:
        wrong = [n for n, c in enumerate(lines, number) if len(c) < 2 or not c[0] or not _TAG.fullmatch(c[-1])]
        if wrong:
            line = " ".join(lines[wrong[0] - number])[:60]
            problems.append(f"line {wrong[0]}: {line!r} is no token with its tag; the sentence is left out")
            continue
        rows = [(columns[0], columns[-1]) for columns in lines]
        text = blank.join(token for token, _ in rows)
        pieces.append(Piece(text, "text"))
        spans.append((start, start + len(text)))
        for span, type, opened in _mentions(rows, start, len(blank)):
            if opened or inner_begins:
                found.append((span, type))
            else:
                begin = span[0] - start
                shown = text[begin : begin + 60]
                problems.append(f"sentence at line {number}: {type} {shown!r} begins with an inner tag")
        start = spans[-1][1] + 1
    place = f"{file}: document {id}"
    document = compose(SOURCE, id, file, pieces, separator="\n", place=place)
    draft = Draft(document)
    for (a, b), type in found:
        draft.add([(a, b)], type, document.text[a:b])
    for problem in problems:
        draft.report(problem)
    return draft.finished(spans)


def _mentions(rows: Iterable[_Row], start: int, gap: int) -> list[tuple[Span, str, bool]]:
    """Span, type, and whether a tag began it, of each run of tags that go together."""
    result: list[tuple[Span, str, bool]] = []
    open_ = False  # whether the next inner tag goes on with the last mention
    for token, tag in rows:
        letter, type = tag[0].upper(), tag[2:]
        span = (start, start + len(token))
        if letter != "O":
            if letter not in _BEGINS and open_ and result[-1][1] == type:
                result[-1] = ((result[-1][0][0], span[1]), type, result[-1][2])
            else:
                result.append((span, type, letter in _BEGINS))
        open_ = letter in "BIM"
        start = span[1] + gap
    return result


FORMAT = Format(
    name=SOURCE,
    title="Tagged tokens: BIO, IOBES, BMES, BILOU",
    suffixes=(".bio", ".conll", ".iob2", ".tsv", ".txt"),
    read=lambda content: read_bio(content.text(), content.url),
    recognises=by_name_only,
    keeps="the first column as tokens, the last as tags",
    drops="all other columns",
    example="Gout B-Disease",
    corpus=True,
    documents=False,
)
