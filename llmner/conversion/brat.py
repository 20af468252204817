"""brat standoff: mentions in an ``.ann`` file, ``T1 type start end text`` between tabs, the text in a file beside it.

Invariant: only text-bound annotations (``T``) are read; several spans in one (``0 4;9 12``) are one mention only when
white space alone lies between.
"""

import re
from pathlib import PurePath

from llmner.conversion import AnnotatedDocument, DocumentDraft

_MENTION = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")


def read_brat(annotations: str, file: str, text: str) -> AnnotatedDocument:
    """Read an annotated text.

    Args:
        annotations: The content of the ``.ann`` file.
        file: Its name; the document is called so, too.
        text: The text beside it, its line ends as they are.
    """
    draft = DocumentDraft(file, PurePath(file).stem, text)
    for line in annotations.removeprefix("\ufeff").split("\n"):
        line = line.removesuffix("\r")
        if found := _MENTION.fullmatch(line):
            type, spans, given = found.groups()
            edges = [span.split() for span in spans.split(";")]
            draft.add([(int(start), int(end)) for start, end in edges], type, given)
        elif line.startswith("T"):
            draft.problem(f"{line[:60]!r} is no mention of it")
    return draft.finished()
