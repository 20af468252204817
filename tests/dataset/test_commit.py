"""What a run has left becomes a batch: recovered, counted, one row for each document."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_rows import rows

from llmner.dataset.commit import Counted, count, recover
from llmner.dataset.files import in_threads
from llmner.dataset.manifest import Input
from llmner.errors import CountMismatchError


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
        return self.names_of_documents(), sorted(p.name.removesuffix(".parquet") for p in self.checkpoint.iterdir())

    def names_of_documents(self) -> list[str]:
        return sorted(p.name.removesuffix(".parquet") for p in self.documents.iterdir())

    def count(self, records: int, inputs: int = 1) -> Counted:
        listed = [Input(uri=f"f{i}", size=1, version="1") for i in range(inputs)]
        return count(str(self.documents), str(self.checkpoint), listed, records, in_threads)


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
    assert recover(str(folders.documents), str(folders.checkpoint), in_threads) == 5
    documents, entries = folders.names()
    assert entries == ["a_0", "a_4"]
    assert documents == [f"a_{i}-0" for i in (0, 1, 2, 4)], "no file is deleted before a batch is committed"
    counted = folders.count(5)
    assert {f.name for f in counted.files} == {"a_0-0.parquet", "a_4-0.parquet"}


def test_a_run_that_comes_late_deletes_nothing_of_a_batch_that_is_committed(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1]))
    folders.count(2)
    shutil.rmtree(folders.checkpoint)  # as the run that committed the batch leaves it
    assert recover(str(folders.documents), str(folders.checkpoint), in_threads) == 0
    assert folders.names_of_documents() == ["a_0-0"]


def test_recovery_of_nothing(tmp_path: Path) -> None:
    assert recover(str(tmp_path / "no"), str(tmp_path / "nothing"), in_threads) == 0


def test_counts_by_input_and_status(folders: Folders) -> None:
    folders.write("a_0", rows([0, 1]))
    folders.write("a_1", rows([7], file=1))
    folders.write("a_2", rows([8], file=1, rejected=True))
    counted = folders.count(4, inputs=2)
    assert counted.counts == {
        "records": 4, "superseded": 0, "documents": 4, "ok": 3, "empty": 0, "rejected": 1, "failed": 0,
        "unchanged": 0, "withdrawn": 0, "mentions": 3,
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


def test_what_gives_way_to_another_text_with_its_identifier_is_named(folders: Folders) -> None:
    folders.write("a_0", rows([5, 6, 7], file=0, text="old"))
    folders.write("b_0", rows([5], file=1, text="old"))
    folders.write("b_1", rows([6, 7], file=1, text="new"))
    counted = folders.count(6, inputs=2)
    assert counted.counts["superseded"] == 3
    assert (counted.clashes, counted.clashing) == (2, ["6 of f0", "7 of f0"])


def test_a_rejected_record_never_takes_the_place_of_a_good_one(folders: Folders) -> None:
    folders.write("a_0", rows([5], file=0))
    folders.write("a_1", rows([5], file=1, rejected=True))
    assert folders.count(2, inputs=2).counts["ok"] == 1


def test_counting_an_empty_batch(folders: Folders) -> None:
    counted = folders.count(0)
    assert counted.files == []
    assert counted.counts["documents"] == 0


def test_numbers_of_records_leave_room() -> None:
    table = rows([2**32 - 1], file=2**31 - 1)
    assert table["record"][0].as_py() == np.iinfo(np.int64).max
