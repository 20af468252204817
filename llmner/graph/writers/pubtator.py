"""PubTator: ``ID|t|title``, ``ID|a|abstract``, then a mention a line.

Invariant: offsets count in title, one character, abstract, which is the document's text. An ambiguous mention has its
identifiers with ``;`` between, one that is not linked has ``-``.
"""

import re

from llmner import storage
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import write_text
from llmner.graph.writers.texts import AnnotatedText, annotated_texts, deleted_ids

_BREAKS = re.compile(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # what a reader takes for the end of a line or field


def write_pubtator(rows: Rows, out: str) -> None:
    """Write ``documents.pubtator``, and for a difference ``deleted.txt``."""
    with storage.write_stream(storage.join(out, "documents.pubtator")) as stream:
        for document in annotated_texts(rows):
            stream.write(_block(document).encode())
    if rows.since is not None:
        write_text(storage.join(out, "deleted.txt"), "".join(f"{id}\n" for id in deleted_ids(rows)))


def _block(document: AnnotatedText) -> str:
    text = _BREAKS.sub(" ", document.text)
    title, abstract = (text[: document.title], text[document.title + 1 :]) if document.title else (text, "")
    lines = [f"{document.id}|t|{title}", f"{document.id}|a|{abstract}"]
    for a in document.annotations:
        concepts = ";".join(a.concepts) or "-"
        lines.append(f"{document.id}\t{a.start}\t{a.end}\t{text[a.start : a.end]}\t{a.type}\t{concepts}")
    return "\n".join(lines) + "\n\n"
