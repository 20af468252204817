"""Corpus files as a Ray data source: one read task a file, small blocks of documents as they are read.

Invariant: a task reads lazily and holds one block, so its memory is bounded by the largest record; the same file
gives the same rows in the same order, so a task can be run again. Nothing but URLs and settings travels to the
workers: each finds the credentials for storage in its own environment.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from llmner.documents import SOURCE_SCHEMA, Document, documents_table
from llmner.sources import read_file
from llmner.sources.fields import FieldMap, field_map
from llmner.sources.files import SourceFile
from llmner.sources.limits import DEFAULT_LIMITS, Limits

BLOCK_DOCUMENTS = 64
BLOCK_CHARACTERS = 1_000_000  # about 1 MB of English, 3 MB of Chinese


class DocumentDatasource(Datasource):
    """Documents of files as rows of ``SOURCE_SCHEMA``.

    Args:
        files: The files, in the order of their tasks.
        fields: Our field to theirs, for formats whose records have named fields.
        limits: See ``Limits``.
        block_documents: Documents a block, at most.

    Raises:
        ConfigError: A field that is none of ours.
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        *,
        fields: Mapping[str, str] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        block_documents: int = BLOCK_DOCUMENTS,
    ) -> None:
        super().__init__()
        self._files = tuple(files)
        self._fields = field_map(fields or {})
        self._limits = limits
        self._block_documents = block_documents

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown: how far a file is compressed is seen when it is read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """One task a file, whatever the parallelism."""
        return [
            ReadTask(
                partial(read_blocks, file, self._fields, self._limits, self._block_documents),
                BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=(file.url,)),
                schema=SOURCE_SCHEMA,
                per_task_row_limit=per_task_row_limit,
            )
            for file in self._files
        ]


def read_blocks(file: SourceFile, fields: FieldMap, limits: Limits, block_documents: int) -> Iterator[pa.Table]:
    """Yield the documents of a file as tables, each of so many documents or about a megabyte, whichever is less.

    Raises:
        StorageError: Storage that failed in passing.
    """
    block: list[Document] = []
    characters = 0
    for document in read_file(file, fields, limits=limits):
        block.append(document)
        characters += len(document.text)
        if len(block) >= block_documents or characters >= BLOCK_CHARACTERS:
            yield documents_table(block)
            block, characters = [], 0
    if block:
        yield documents_table(block)
