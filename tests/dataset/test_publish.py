"""Flat mentions: those that are nested in the documents, with identifiers of their own."""

import pyarrow as pa
from finished_rows import rows

from llmner.dataset.publish import flatten, mention_id
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA


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


def test_flat_mentions_say_in_which_part_they_stand() -> None:
    row = rows([1]).to_pylist()[0]
    parts = [("title", "", 0, 7), ("methods", "Methods > Drugs", 8, 15), ("caption", "Table 1", 16, 23)]
    names = ("kind", "section", "start", "end")
    paper = {
        **row,
        "text": "Aspirin Aspirin Aspirin",
        "parts": [dict(zip(names, part, strict=True)) | {"lang": "en"} for part in parts],
        "sentences": [{"start": start, "end": end, "part": i} for i, (_, _, start, end) in enumerate(parts)],
        "mentions": [
            {**row["mentions"][0], "start": start, "end": end, "sentence": i}
            for i, (_, _, start, end) in enumerate(parts)
        ],
    }
    table = pa.concat_tables([rows([5]), pa.Table.from_pylist([paper], DOCUMENT_SCHEMA), rows([6])])
    expected = [("text", ""), *((kind, section) for kind, section, _, _ in parts), ("text", "")]
    for start in (0, 1):
        flat = flatten(table.slice(start))
        assert list(zip(flat["part_kind"].to_pylist(), flat["section"].to_pylist(), strict=True)) == expected[start:]


def test_mention_ids_differ_where_anything_differs() -> None:
    ids = [
        mention_id(*v) for v in [(1, 2, 3, "a", "b"), (1, 2, 3, "ab", ""), (1, 23, 3, "a", "b"), (12, 3, 3, "a", "b")]
    ]
    assert len(set(ids)) == 4
    assert mention_id(1, 2, 3, "a", "b") == ids[0]
