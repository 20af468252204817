"""A token a line and its tag in the last column: BIO, IOB2, IOBES, and what else writes their letters (BMES, BILOU).

Invariant: a sentence is its tokens, in English with a blank between, in Chinese without; its spans are theirs. A
mention begins with a tag that begins one: an inner tag on its own is a mistake and told.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from llmner.documents import Document
from llmner.mentions import Span
from llmner.sources.annotated import Draft
from llmner.sources.format import Format, by_name_only
from llmner.sources.texts import language_of

SOURCE = "bio"

_TAG = re.compile(r"O|([BIESMLU])-(\S+)")
_BLANKS = re.compile(r"[ \t]+")  # in Chinese a wide blank may be a token
_BEGINS = "BSU"
_DOCUMENT = "-DOCSTART-"

_Row = tuple[str, str]  # token, tag


def read_bio(text: str, file: str) -> Iterator[Document]:
    """Read the documents of a file of tagged tokens.

    Args:
        text: The file's content: columns between white space, a blank line after each sentence, a ``-DOCSTART-`` line
            before each document; without any, the file is one document.
        file: Its name, for messages.

    Yields:
        Documents in order, a sentence a line.
    """
    tokens = (columns[0] for line in text.split("\n") if (columns := line.split()))
    blank = "" if language_of("".join(tokens)) == "zh" else " "
    for number, sentences in enumerate(_documents(text), 1):
        yield _document(sentences, f"{PurePath(file).stem}-{number}", file, blank)


def _documents(text: str) -> Iterator[list[tuple[int, list[list[str]]]]]:
    """The sentences of each document: the number of the first line, and the columns of each line."""
    sentences: list[tuple[int, list[list[str]]]] = []
    fresh = True
    for number, line in enumerate(text.split("\n"), 1):
        columns = _BLANKS.split(line.strip(" \t\r")) if line.strip() else []
        if columns[:1] == [_DOCUMENT]:
            if sentences:
                yield sentences
            sentences, fresh = [], True
        elif not columns:
            fresh = True
        else:
            if fresh:
                sentences.append((number, []))
                fresh = False
            sentences[-1][1].append(columns)
    if sentences:
        yield sentences


def _document(sentences: list[tuple[int, list[list[str]]]], id: str, file: str, blank: str) -> Document:
    texts: list[str] = []
    spans: list[Span] = []
    found: list[tuple[Span, str]] = []
    problems: list[str] = []
    start = 0
    for number, lines in sentences:
        wrong = [n for n, c in enumerate(lines, number) if len(c) < 2 or not _TAG.fullmatch(c[-1])]
        if wrong:
            line = " ".join(lines[wrong[0] - number])[:60]
            problems.append(f"line {wrong[0]}: {line!r} is no token with its tag; the sentence is left out")
            continue
        rows = [(columns[0], columns[-1]) for columns in lines]
        texts.append(blank.join(token for token, _ in rows))
        spans.append((start, start + len(texts[-1])))
        for span, type, opened in _mentions(rows, start, len(blank)):
            if opened:
                found.append((span, type))
            else:
                begin = span[0] - start
                shown = texts[-1][begin : begin + 60]
                problems.append(f"sentence at line {number}: {type} {shown!r} begins with an inner tag")
        start = spans[-1][1] + 1
    text = "\n".join(texts)
    draft = Draft(SOURCE, file, id, text)
    for (a, b), type in found:
        draft.add([(a, b)], type, text[a:b])
    for problem in problems:
        draft.report(problem)
    return draft.finished(spans)


def _mentions(rows: Iterable[_Row], start: int, gap: int) -> list[tuple[Span, str, bool]]:
    """Span, type, and whether a tag began it, of each run of tags that go together."""
    result: list[tuple[Span, str, bool]] = []
    open_ = False  # whether the next inner tag goes on with the last mention
    for token, tag in rows:
        letter, _, type = tag.partition("-")
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
