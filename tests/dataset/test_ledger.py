"""The ledger: what it says of any commits is what a set of pairs says, whatever of its files is missing."""

import hashlib
import random
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_dataset import Document, Unchanged, commit

from llmner import storage
from llmner.dataset.files import in_threads
from llmner.dataset.layout import Layout
from llmner.dataset.ledger import Ledger, entries, ranges
from llmner.dataset.manifest import read_manifests
from llmner.documents import document_key


@given(st.integers(0, 200_000))
def test_ranges_follow_each_other_and_are_few(commits: int) -> None:
    found = ranges(commits)
    assert [first for first, _ in found] == [1, *(last + 1 for _, last in found)][: len(found)]
    assert sum(last - first + 1 for first, last in found) == commits
    assert len(found) <= 31 * 4
    lengths = [last - first + 1 for first, last in found]
    assert lengths == sorted(lengths, reverse=True)
    assert set(lengths) <= {1, 32, 1024, 32768}


@given(st.integers(1, 5000))
def test_a_commit_leaves_the_ranges_or_completes_one(commits: int) -> None:
    before, after = ranges(commits - 1), ranges(commits)
    assert before == after[:-1] or (after[-1][1] == commits and before[: len(after) - 1] == after[:-1])


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def asked(uri: str, pairs: list[tuple[str, str]]) -> list[bool]:
    """Whether each identifier with its text is in the ledger."""
    layout = Layout.at(uri)
    ledger = Ledger(layout, read_manifests(layout))
    ledger.update(in_threads)
    keys = [document_key("pubmed", id, 1) for id, _ in pairs]
    return [bool(found) for found in ledger.tagged(entries(keys, [hash_of(text) for _, text in pairs]))]


def test_texts_that_were_tagged(tmp_path: Path) -> None:
    uri = str(tmp_path)
    commit(uri, "one", [Document("1", "Asthma."), Document("2", "Nothing.", status="empty")], files=2)
    commit(uri, "two", [Document("3", "Broken.", status="failed"), Unchanged("4", "Flu.", status="unchanged")])
    commit(uri, "three", [Document("1", "", status="withdrawn")])
    pairs = [("1", "Asthma."), ("1", "Pain."), ("2", "Nothing."), ("3", "Broken."), ("4", "Flu."), ("1", "Asthma.")]
    assert asked(uri, pairs) == [True, False, True, False, False, True]
    assert asked(uri, []) == []


def check_many(uri: str, commits: int) -> None:
    rng = random.Random(5)
    tagged: set[tuple[str, str]] = set()
    for number in range(1, commits + 1):
        pairs = {str(rng.randrange(50)): f"Text {rng.randrange(3)}." for _ in range(4)}
        commit(uri, f"batch-{number}", [Document(id, text) for id, text in pairs.items()])
        tagged |= set(pairs.items())
        if number in (1, 31, 32, commits):
            if number == commits:  # a file that is lost is made again
                storage.remove(storage.join(Layout.at(uri).ledger, f"00000001-{commits - 1:08d}.parquet"))
            pairs_asked = [(str(i), f"Text {j}.") for i in range(50) for j in range(3)]
            assert asked(uri, pairs_asked) == [pair in tagged for pair in pairs_asked]
    names = storage.list_names(Layout.at(uri).ledger)
    assert names == [f"{first:08d}-{last:08d}.parquet" for first, last in ranges(commits)]


def test_many_commits_are_few_files(tmp_path: Path) -> None:
    check_many(str(tmp_path), 33)


def test_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="ledgers")
    check_many("s3://ledgers/set", 2)
