"""CMeEE, first and second version: a JSON list of texts with their entities.

Invariant: ``end_idx`` is the last character in one version and the first after it in the other; the entity's own text
tells which.
"""

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from llmner.conversion import AnnotatedDocument, DocumentDraft
from llmner.errors import InputError, MalformedRecordError


def read_cmeee(text: str, file: str) -> Iterator[AnnotatedDocument | InputError]:
    """Read the texts of a CMeEE file.

    Args:
        text: The file's content.
        file: Its name, for messages; the texts have no identifiers but their places in it.

    Yields:
        Documents in order; an error for one that cannot be read.

    Raises:
        InputError: This is no JSON list.
    """
    try:
        items = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as e:
        raise InputError(f"{file}: not JSON: {e}") from e
    if not isinstance(items, list):
        raise InputError(f"{file}: a JSON {type(items).__name__}, not a list", hint="CMeEE is a list of texts")
    for number, item in enumerate(items, 1):
        try:
            yield _document(item, f"{PurePath(file).stem}-{number}", file)
        except InputError as e:
            yield e
        except (AttributeError, KeyError, TypeError) as e:
            yield MalformedRecordError(f"{file}: text number {number}: not as CMeEE has it: {e!r}")


def _document(item: dict[str, Any], id: str, file: str) -> AnnotatedDocument:
    draft = DocumentDraft(file, id, item["text"])
    for entity in item["entities"]:
        try:
            start, given = entity["start_idx"], entity["entity"]
            inclusive = entity["end_idx"] - start == len(given) - 1
            draft.add([(start, entity["end_idx"] + inclusive)], str(entity["type"]), given)
        except (KeyError, TypeError) as e:
            draft.problem(f"entity {str(entity)[:60]!r}: not as CMeEE has it: {e!r}")
    return draft.finished()
