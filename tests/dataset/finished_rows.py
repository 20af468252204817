"""Finished rows of a data set, for tests that need no model."""

import pyarrow as pa

from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Document, documents_table
from llmner.errors import MalformedRecordError


def rows(numbers: list[int], *, file: int = 0, text: str = "Aspirin", rejected: bool = False) -> pa.Table:
    """Finished rows; a document's number is its identity and its place in the file."""
    error = MalformedRecordError("bad") if rejected else None
    table = documents_table(
        [Document("jsonl", str(i), f"f{file}", "" if error else text, error=error) for i in numbers]
    )
    mention = {
        "start": 0, "end": len(text), "text": text, "type": "Chemical", "tag_set": "bc5cdr",
        "sentence": 0, "parent": None, "generator_score": 0.5, "selector_score": None, "kept": True, "match": "exact",
    }  # fmt: skip
    more = {"source_tokens": 1, "fed_tokens": 1, "run_id": "r"}
    finished = [
        {
            **row,
            **more,
            "status": "rejected" if rejected else "ok",
            "sentences": [] if rejected else [{"start": 0, "end": len(text), "part": 0}],
            "mentions": [] if rejected else [mention],
            "record": (file << 32) + i,
        }
        for i, row in zip(numbers, table.to_pylist(), strict=True)
    ]
    return pa.Table.from_pylist(finished, schema=DOCUMENT_SCHEMA)
