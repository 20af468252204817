"""What a batch need not pay for: its records whose text an earlier batch has tagged.

Invariant: a record is known only if the ledger has its document with exactly its text, so its mentions are those that
the model would find again.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmner.dataset.compaction import read_compaction
from llmner.dataset.ledger import ENTRY_SCHEMA, Ledger, entries
from llmner.dataset.manifest import read_manifests
from llmner.dataset.schema import RECORD_BITS
from llmner.extraction.cluster import in_tasks
from llmner.extraction.datasource import BLOCK_DOCUMENTS, read_blocks
from llmner.extraction.resolve import Plan
from llmner.sources.fields import FieldMap, field_map
from llmner.sources.files import SourceFile
from llmner.sources.limits import Limits


@dataclass(frozen=True)
class Known:
    """The records of a batch that are tagged already.

    Attributes:
        unchanged: Their numbers, sorted.
        everything: Whether no other record of the batch has a text.
    """

    unchanged: np.ndarray
    everything: bool


NOTHING_KNOWN = Known(np.zeros(0, np.int64), everything=False)


_RECORDS = ENTRY_SCHEMA.append(pa.field("record", pa.int64(), nullable=False))


def find_known(plan: Plan) -> Known:
    """Read a batch's inputs and look their records up in the ledger.

    Ray runs; the inputs are read in tasks on it.
    """
    compaction, manifests = read_compaction(plan.layout), read_manifests(plan.layout)
    if not manifests:
        return NOTHING_KNOWN
    ledger = Ledger(plan.layout, manifests, compaction)
    ledger.update(in_tasks)
    read = in_tasks(partial(_read, field_map(plan.config.fields), plan.config.limits), list(enumerate(plan.files)))
    records = pa.concat_tables(read)
    found = ledger.tagged(records.select(["doc_key", "text"]))
    return Known(np.sort(records["record"].to_numpy()[found]), everything=bool(found.all()))


def _read(fields: FieldMap, limits: Limits, numbered: tuple[int, SourceFile]) -> pa.Table:
    """Return ``record`` and the ledger's entry of each record of a file that has a text."""
    number, file = numbered
    first = number << RECORD_BITS
    tables = [_RECORDS.empty_table()]
    for block in read_blocks(file, fields, limits, BLOCK_DOCUMENTS):
        table = entries(block["doc_key"].to_pylist(), block["text_sha256"].to_pylist())
        table = table.append_column(_RECORDS.field("record"), pa.array(np.arange(first, first + block.num_rows)))
        has_text = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(block["text"])), 0)
        tables.append(table.filter(pc.and_(pc.equal(block["status"], "read"), has_text)))
        first += block.num_rows
    return pa.concat_tables(tables)
