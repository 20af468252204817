"""Flat mentions: those that are nested in the documents, with identifiers of their own."""

import pyarrow as pa
from finished_rows import rows

from llmner.dataset.publish import flatten, mention_id
from llmner.dataset.schema import MENTION_SCHEMA


def test_flat_mentions_are_the_nested_ones() -> None:
    table = pa.concat_tables([rows([1, 2]), rows([3], rejected=True), rows([4])]).slice(1)
    flat = flatten(table)
    assert flat.schema.equals(MENTION_SCHEMA)
    expected = [
        {**m, "doc_key": row["doc_key"], "source_id": row["source_id"]}
        for row in table.to_pylist()
        for m in row["mentions"]
    ]
    assert [{k: row[k] for k in expected[0]} for row in flat.to_pylist()] == expected
    assert len(set(flat["mention_id"].to_pylist())) == 2
    assert flat["concept_id"].null_count == flat.num_rows
    assert flatten(table.slice(0, 0)).num_rows == 0


def test_mention_ids_differ_where_anything_differs() -> None:
    ids = [
        mention_id(*v) for v in [(1, 2, 3, "a", "b"), (1, 2, 3, "ab", ""), (1, 23, 3, "a", "b"), (12, 3, 3, "a", "b")]
    ]
    assert len(set(ids)) == 4
    assert mention_id(1, 2, 3, "a", "b") == ids[0]
