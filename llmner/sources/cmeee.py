"""CMeEE, first and second version: a JSON list of texts with their entities.

Invariant: ``end_idx`` is the last character in one version and the first after it in the other; the entity's own text
tells which.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from llmner.documents import Document
from llmner.errors import InputError, MalformedRecordError
from llmner.sources.annotated import Draft, rejected
from llmner.sources.format import Format
from llmner.sources.json_records import json_records, parse_json
from llmner.sources.texts import Piece, compose

SOURCE = "cmeee"


def read_cmeee(chunks: Iterable[bytes], source_file: str) -> Iterator[Document]:
    """Read the texts of a CMeEE file, with their annotations.

    Args:
        chunks: The uncompressed file, in pieces of any size.
        source_file: Its URL, for messages. The texts have no identifiers but their numbers in it.

    Yields:
        Documents in order. One that cannot be read is a document with an error.

    Raises:
        TruncatedFileError: The file ends before its end. All complete texts were read.
    """
    for record in json_records(chunks, source_file):
        try:
            item = parse_json(record, source_file)
            yield _document(item, f"{PurePath(source_file).stem}-{record.number}", source_file)
        except InputError as e:
            yield rejected(SOURCE, source_file, record.number, e)
        except (AttributeError, KeyError, TypeError) as e:
            error = MalformedRecordError(f"{record.place(source_file)}: not as CMeEE has it: {e!r}")
            yield rejected(SOURCE, source_file, record.number, error)


def _document(item: dict[str, Any], id: str, file: str) -> Document:
    text = item["text"]
    draft = Draft(compose(SOURCE, id, file, [Piece(text, "text")], place=f"{file}: document {id}"))
    for entity in item["entities"]:
        try:
            start, given = entity["start_idx"], entity["entity"]
            inclusive = entity["end_idx"] - start == len(given) - 1
            draft.add([(start, entity["end_idx"] + inclusive)], str(entity["type"]), given)
        except (KeyError, TypeError) as e:
            draft.report(f"entity {str(entity)[:60]!r}: not as CMeEE has it: {e!r}")
    return draft.finished()


FORMAT = Format(
    name=SOURCE,
    title="CMeEE",
    suffixes=(".json",),
    read=lambda content: read_cmeee(content.chunks, content.url),
    recognises=lambda head: b'"start_idx"' in head,
    keeps="texts and their entities",
    drops="nothing",
    example='[{"text": "...", "entities": [{"start_idx": 0, "end_idx": 2, "type": "dis", "entity": "..."}]}]',
    corpus=True,
    documents=False,
)
