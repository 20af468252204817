"""``llmner show``: documents as an extraction will see them."""

from collections.abc import Sequence
from itertools import chain, islice

from rich.console import Console
from rich.text import Text

from llmner.documents import Document
from llmner.segmentation import segment_parts
from llmner.sources import read_file
from llmner.sources.fields import field_map
from llmner.sources.files import find_files

EXIT_INCOMPLETE = 3  # documents were shown that will be rejected

_COLOURS = {
    "title": "bold cyan",
    "abstract": "white",
    "methods": "green",
    "results": "yellow",
    "conclusions": "magenta",
}
_OTHER_KIND = "blue"


def show_documents(inputs: Sequence[str], format: str, fields: Sequence[str], limit: int, console: Console) -> int:
    """Show the first documents of inputs, a sentence a line, in colour by part.

    Args:
        inputs: Files, folders and patterns.
        format: Name of their format, or ``auto``.
        fields: ``ours=theirs``, for formats whose records have named fields.
        limit: The most documents to show.
        console: Where to.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The inputs cannot be read as asked.
    """
    pairs = (field.partition("=") for field in fields)
    names = field_map({ours: theirs or ours for ours, _, theirs in pairs})
    documents = chain.from_iterable(read_file(file, names) for file in find_files(inputs, format))
    rejected = 0
    for document in islice(documents, limit):
        rejected += document.error is not None
        console.print(_shown(document), soft_wrap=True)
    return EXIT_INCOMPLETE if rejected else 0


def _shown(document: Document) -> Text:
    about = [document.source, document.source_id, str(document.year or ""), document.source_file]
    text = Text("  ".join(filter(None, about)), style="reverse")
    if others := [f"{scheme} {id}" for scheme, id in document.ids.items() if id != document.source_id]:
        text.append(f"  {'  '.join(others)}", style="dim")
    if document.error:
        return text.append(f"\n{document.error}\n", style="red")
    shown = ""
    for start, end, number in segment_parts(document.text, document.parts):
        part = document.parts[number]
        label = " ".join(filter(None, (part.kind, part.lang, part.section)))
        if label != shown:
            text.append(f"\n[{label}]", style="dim")
        text.append(f"\n  {' '.join(document.text[start:end].split())}", style=_COLOURS.get(part.kind, _OTHER_KIND))
        shown = label
    return text.append("\n")
