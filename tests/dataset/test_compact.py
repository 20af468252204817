"""Compaction: every kept snapshot is the same before and after, and nothing that one of them lists is deleted."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from small_dataset import Document, Unchanged, commit

from llmner import storage
from llmner.dataset.compact import Compacted, compact
from llmner.dataset.compaction import read_compaction
from llmner.dataset.files import in_threads, read_table
from llmner.dataset.layout import Layout
from llmner.dataset.ledger import Ledger, entries
from llmner.dataset.links import Links
from llmner.dataset.lock import BatchLock
from llmner.dataset.manifest import read_manifests
from llmner.dataset.published import publish_view
from llmner.dataset.snapshot import open_dataset
from llmner.errors import BatchLockedError, DatasetError

WORDS = ("Asthma", "Fever", "Pain", "Flu")

Rows = list[dict[str, Any]]


def nights(uri: str, first: int, last: int) -> None:
    """Commit nights of documents that are new, revised, unchanged, withdrawn, back again, late or broken."""
    layout = Layout.at(uri)
    for number in range(first, last + 1):
        rng = random.Random(number)
        ledger = Ledger(layout, read_manifests(layout), read_compaction(layout))
        ledger.update(in_threads)
        batch: list[Document] = []
        for id in rng.sample(range(20), 8):
            word = rng.choice(WORDS)
            version, status = rng.choice((1, 1, 2)), rng.choice(("ok", "ok", "ok", "withdrawn", "failed"))
            document = Document(str(id), f"{word}.", [(word, "Disease")], version=version, year=2000 + number)
            row = document.row()
            if status != "ok":
                batch.append(replace(document, status=status, mentions=()))
            elif ledger.tagged(entries([row["doc_key"]], [row["text_sha256"]]))[0]:
                batch.append(Unchanged(**{**vars(document), "status": "unchanged"}))
            else:
                batch.append(document)
        place = number - 3 if number % 5 == 0 else number  # every fifth comes late
        commit(uri, f"night-{number}", batch, files=2, place=f"n{place:03d}.xml")


def sorted_rows(table: Any) -> Rows:
    return sorted(table.to_pylist(), key=str)


def snapshots(uri: str, *numbers: int) -> list[tuple[Rows, ...]]:
    """Documents and mentions of snapshots, and what has changed between each and the newest."""
    found = []
    for number in numbers:
        snapshot, between = open_dataset(uri, commit=number), open_dataset(uri).changes(number)
        tables = (snapshot.documents.to_table(), snapshot.mentions.to_table(), between.changed, between.withdrawn)
        found.append(tuple(map(sorted_rows, tables)))
    return found


def documents_there(uri: str) -> int:
    """How many files of documents there are."""
    layout = Layout.at(uri)
    return sum(len(storage.list_names(layout.batch(b).documents)) for b in storage.list_folders(layout.batches))


def check(uri: str, last: int) -> None:
    nights(uri, 1, last)
    before, opened = snapshots(uri, last - 1, last), open_dataset(uri)
    done = compact(uri, keep=2)
    assert (done.oldest, done.read, done.removed) == (last - 1, 2 * last - 2, 0)
    assert 0 < done.written < done.read
    assert done.dropped > 0
    assert snapshots(uri, last - 1, last) == before
    assert sorted_rows(opened.mentions.to_table()) == before[1][1], "who has opened it reads on"
    with pytest.raises(DatasetError, match=rf"commit {last - 2} is not kept any more \(the oldest is {last - 1}\)"):
        open_dataset(uri, commit=last - 2)
    assert open_dataset(uri).changes(0).changed.num_rows == len(before[1][0])
    assert compact(uri, keep=2) == Compacted(last - 1, 0, 0, 0, removed=done.read)
    assert documents_there(uri) == done.written + 2
    assert snapshots(uri, last - 1, last) == before


def test_kept_snapshots_are_the_same(tmp_path: Path) -> None:
    check(str(tmp_path / "set's"), 12)


def test_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="compactions")
    check("s3://compactions/set", 5)


@pytest.mark.slow
def test_nights_go_on_as_on_a_data_set_that_is_never_compacted(tmp_path: Path) -> None:
    compacted, other = str(tmp_path / "compacted"), str(tmp_path / "other")
    for first in (1, 6, 11):
        nights(compacted, first, first + 4)
        nights(other, first, first + 4)
        assert snapshots(compacted, first + 3) == snapshots(other, first + 3)
        compact(compacted, keep=3)
        assert snapshots(compacted, first + 3) == snapshots(other, first + 3)


def test_what_lies_beside_the_documents_goes_with_them(tmp_path: Path) -> None:
    uri = str(tmp_path)
    for number in range(1, 4):
        commit(uri, f"night-{number}", [Document(str(number), "Asthma.", [("Asthma", "Disease")])])
    publish_view(uri)
    storage.write_whole(Links(uri, "digest").file("night-1", "night-1-0.parquet"), b"")
    commit(uri, "night-4", [Document("1", "Pain.", [("Pain", "Disease")])])
    compact(uri, keep=1)
    compact(uri, keep=1)
    assert sorted(p.parent.name for p in tmp_path.rglob("night-*.parquet")) == []
    [part] = publish_view(uri).parts
    published = [sorted_rows(read_table(storage.join(uri, file))) for file in (part.documents, part.mentions)]
    assert published == list(snapshots(uri, 4)[0][:2])


def test_no_nightly_run_goes_on_meanwhile(tmp_path: Path) -> None:
    commit(str(tmp_path), "one", [Document("1", "Asthma.")])
    with BatchLock(Layout.at(str(tmp_path)).nightly_locks, lease=1), pytest.raises(BatchLockedError):
        compact(str(tmp_path), keep=1)


class Cut(BaseException):
    """The end of a process in the midst of its work."""


@pytest.mark.slow
def test_cut_off_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = -1  # writes until the end; below 0 there is none

    def cutting(effect: Callable[..., Any]) -> Callable[..., Any]:
        def cut_or_do(*args: Any) -> Any:
            nonlocal left
            if ".locks" in args[0]:
                return effect(*args)
            left -= 1
            if left == -1:
                raise Cut
            return effect(*args)

        return cut_or_do

    for name in ("write_new", "write_whole", "move", "remove"):
        monkeypatch.setattr(storage, name, cutting(getattr(storage, name)))
    uri = str(tmp_path)
    for writes in range(0, 1000, 8):
        last = 2 + writes // 4
        nights(uri, last - 1, last)
        before = snapshots(uri, last - 1, last)
        left, cut = writes, False
        try:
            compact(uri, keep=2)
        except Cut:
            cut = True
        left = -1
        assert snapshots(uri, last - 1, last) == before
        compact(uri, keep=2)
        assert snapshots(uri, last - 1, last) == before
        if not cut:
            break
    assert writes > 16
