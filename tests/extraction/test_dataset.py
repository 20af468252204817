"""Layout, descriptions and readers of a data set; counting what a run left."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmner.config import Fingerprint, fingerprint
from llmner.documents import DOCUMENT_SCHEMA, SCHEMA_VERSION, Document, documents_table
from llmner.errors import CountMismatchError, DatasetError, FingerprintMismatchError, MalformedRecordError
from llmner.extraction.commit import count, recover
from llmner.extraction.dataset import Dataset, Input, Manifest, read_documents, read_mentions
from llmner.extraction.publish import MENTION_SCHEMA, flatten, mention_id, publish
from llmner.tagset import load_tag_set

TAG_SETS = {"en": (load_tag_set("bc5cdr"),)}


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


class Folders:
    """What a run of Ray Data leaves."""

    def __init__(self, root: Path) -> None:
        self.documents, self.checkpoint = root / "documents", root / "checkpoint"
        self.documents.mkdir()
        self.checkpoint.mkdir()

    def write(self, name: str, table: pa.Table, *, file: bool = True, entry: str | None = "") -> None:
        if file:
            pq.write_table(table, self.documents / f"{name}-0.parquet")
        if entry is not None:
            pq.write_table(table.select(["record"]), self.checkpoint / f"{name}{entry}.parquet")

    def names(self) -> tuple[list[str], list[str]]:
        names = [
            sorted(p.name.removesuffix(".parquet") for p in f.iterdir()) for f in (self.documents, self.checkpoint)
        ]
        return names[0], names[1]

    def count(self, records: int, inputs: int = 1):
        listed = [Input(uri=f"f{i}", size=1, version="1") for i in range(inputs)]
        return count(str(self.documents), str(self.checkpoint), listed, records)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_recovery_keeps_what_is_whole(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1, 2]))
    folders.write("a_1", rows([3]), entry=".pending")  # cut off between file and entry
    folders.write("a_2", rows([4]), entry=None)
    folders.write("a_3", rows([5]), file=False)
    folders.write("a_4", rows([6, 7]))
    folders.write("a_4", rows([6, 7]), entry=".pending")  # cut off while the entry was renamed by copying
    assert recover(str(folders.documents), str(folders.checkpoint)) == 5
    assert folders.names() == (["a_0-0", "a_4-0"], ["a_0", "a_4"])


def test_recovery_of_nothing(tmp_path: Path) -> None:
    assert recover(str(tmp_path / "no"), str(tmp_path / "nothing")) == 0


def test_counts_by_input_and_status(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1]))
    folders.write("a_1", rows([7], file=1))
    folders.write("a_2", rows([8], file=1, rejected=True))
    counted = folders.count(4, inputs=2)
    assert counted.counts == {
        "records": 4, "superseded": 0, "documents": 4, "ok": 3, "empty": 0, "rejected": 1, "failed": 0, "mentions": 3,
    }  # fmt: skip
    assert [i.counts["ok"] for i in counted.inputs] == [2, 1]
    assert [i.counts["rejected"] for i in counted.inputs] == [0, 1]
    assert sum(f.rows for f in counted.files) == 4


def test_records_that_did_not_come_out_are_an_error(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1]))
    with pytest.raises(CountMismatchError, match="3 records were read and 2"):
        folders.count(3)


def test_a_record_written_twice_counts_once(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1]))
    folders.write("b_0", rows([1, 2]))
    counted = folders.count(3)
    assert counted.counts["documents"] == 3
    assert counted.counts["superseded"] == 0
    assert sum(f.rows for f in counted.files) == 3


@pytest.mark.parametrize("order", [("a_0", "b_0"), ("b_0", "a_0")])
def test_of_records_with_one_key_the_last_in_reading_order_stays(folders: Folders, order: tuple[str, str]) -> None:
    folders.write(order[0], rows([5], file=0, text="old"))
    folders.write(order[1], rows([5, 6], file=1, text="new"))
    counted = folders.count(3, inputs=2)
    assert (counted.counts["documents"], counted.counts["superseded"]) == (2, 1)
    tables = [pq.read_table(folders.documents / f.name) for f in counted.files]
    assert {row["text"] for t in tables for row in t.to_pylist()} == {"new"}


def test_a_rejected_record_never_takes_the_place_of_a_good_one(folders: Folders) -> None:
    folders.write("a_0", rows([5], file=0))
    folders.write("a_1", rows([5], file=1, rejected=True))
    assert folders.count(2, inputs=2).counts["ok"] == 1


def test_counting_an_empty_batch(folders: Folders) -> None:
    counted = folders.count(0)
    assert counted.files == []
    assert counted.counts["documents"] == 0


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


def manifest(dataset: Dataset, batch: str, names: list[str], **more: object) -> Manifest:
    files = [{"name": n, "rows": 1, "bytes": 1, "sha256": ""} for n in names]
    values = {
        "schema_version": SCHEMA_VERSION, "batch": batch, "selection": "s", "fingerprint": "f", "inputs": [],
        "files": files, "counts": {}, "tag_sets": {}, "started": "", "finished": "", "run_id": "", "versions": {},
    }  # fmt: skip
    return Manifest.model_validate({**values, **more})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset(str(tmp_path / "data"))
    dataset.ensure(fingerprint({"model": "m"}, TAG_SETS, segmentation="1"), TAG_SETS)
    folder = Path(dataset.batch("b").documents)
    folder.mkdir(parents=True)
    for i in range(3):
        pq.write_table(rows([i]), folder / f"{i}.parquet")
    return dataset


def test_readers_see_what_manifests_list_and_nothing_else(dataset: Dataset) -> None:
    assert list(read_documents(dataset.url)) == []
    batch = dataset.batch("b")
    batch.write_manifest(manifest(dataset, "b", ["0.parquet", "2.parquet"]))
    publish(batch.documents, batch.mentions, ["0.parquet", "2.parquet"])
    tables = list(read_documents(dataset.url))
    assert [t["source_id"].to_pylist() for t in tables] == [["0"], ["2"]]
    assert sum(t.num_rows for t in read_mentions(dataset.url)) == 2
    assert next(read_documents(dataset.url, ["text"])).column_names == ["text"]


def test_publishing_again_makes_good_what_is_missing(dataset: Dataset) -> None:
    batch = dataset.batch("b")
    names = ["0.parquet", "1.parquet"]
    publish(batch.documents, batch.mentions, names)
    before = {p.name: p.read_bytes() for p in Path(batch.mentions).iterdir()}
    (Path(batch.mentions) / "1.parquet").unlink()
    publish(batch.documents, batch.mentions, names)
    assert {p.name: p.read_bytes() for p in Path(batch.mentions).iterdir()} == before


def test_an_unknown_major_version_is_refused(dataset: Dataset) -> None:
    dataset.batch("b").write_manifest(manifest(dataset, "b", ["0.parquet"], schema_version="2.0"))
    with pytest.raises(DatasetError, match=r"schema version 2\.0"):
        list(read_documents(dataset.url))
    described = json.loads(Path(dataset.description).read_text())
    Path(dataset.description).write_text(json.dumps({**described, "schema_version": "9.1"}))
    with pytest.raises(DatasetError, match=r"schema version 9\.1"):
        dataset.describe()


def test_another_fingerprint_is_refused_with_the_difference(dataset: Dataset) -> None:
    dataset.ensure(fingerprint({"model": "m"}, TAG_SETS, segmentation="1"), TAG_SETS)
    with pytest.raises(FingerprintMismatchError, match=r"engine\.model: m -> n") as e:
        dataset.ensure(fingerprint({"model": "n"}, TAG_SETS, segmentation="1"), TAG_SETS)
    assert "segmentation" not in str(e.value)


def test_the_description_holds_definitions_and_models(dataset: Dataset) -> None:
    described = dataset.describe()
    assert described["models"] == {"engine.model": "m"}
    [tag_set] = described["tag_sets"]
    assert tag_set["types"][0]["definition"] == TAG_SETS["en"][0].types[0].definition
    assert Fingerprint(described["parts"]).hash == described["fingerprint"]


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set here"):
        list(read_documents(str(tmp_path)))


def test_a_broken_manifest_is_named(dataset: Dataset) -> None:
    Path(dataset.batch("b").manifest).write_text("{")
    with pytest.raises(DatasetError, match=r"manifest\.json: not a manifest"):
        dataset.batches()


def test_numbers_of_records_leave_room() -> None:
    table = rows([2**32 - 1], file=2**31 - 1)
    assert table["record"][0].as_py() == np.iinfo(np.int64).max
