"""Data sets as they are committed, described and read."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from finished_rows import rows

from llmner.dataset.commit import commit, settle
from llmner.dataset.files import in_threads
from llmner.dataset.fingerprint import Fingerprint, describe, ensure
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import Draft, find_manifest
from llmner.dataset.manifest import commit as write_manifest
from llmner.dataset.reading import open_committed
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA, SCHEMA_VERSION
from llmner.errors import DatasetError, FingerprintMismatchError

PARTS = {"generator.model": "m", "segmentation": "1"}
TAG_SETS = [{"name": "bc5cdr", "lang": "en", "types": [{"name": "Chemical", "definition": "a substance"}]}]


def draft(batch: str, names: list[str], **more: object) -> Draft:
    files = [{"name": n, "rows": 1, "bytes": 1, "sha256": ""} for n in names]
    values = {
        "schema_version": SCHEMA_VERSION, "batch": batch, "inputs_digest": "d", "fingerprint": "f", "inputs": [],
        "files": files, "counts": {}, "tag_sets": {}, "started": "", "finished": "", "run_id": "r", "versions": {},
    }  # fmt: skip
    return Draft.model_validate({**values, **more})


def write_documents(layout: Layout, batch: str, numbers: list[int]) -> list[str]:
    """One file of documents for each number; their names."""
    folder = Path(layout.batch(batch).documents)
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        pq.write_table(rows([i]), folder / f"{i}.parquet")
    return [f"{i}.parquet" for i in numbers]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A data set without a commit."""
    layout = Layout.at(str(tmp_path / "data"))
    ensure(layout, Fingerprint(PARTS), TAG_SETS)
    return layout


def test_readers_see_what_manifests_list_and_nothing_else(layout: Layout) -> None:
    write_documents(layout, "b", [0, 1, 2])
    empty = open_committed(layout.uri)
    assert empty.documents.count_rows() == empty.mentions.count_rows() == 0
    commit(layout, draft("b", ["0.parquet", "2.parquet"]), in_threads)
    dataset = open_committed(layout.uri)
    assert dataset.documents.to_table(columns=["source_id"])["source_id"].to_pylist() == ["0", "2"]
    assert dataset.mentions.to_table()["source_id"].to_pylist() == ["0", "2"]
    assert dataset.documents.schema.equals(DOCUMENT_SCHEMA)
    assert dataset.mentions.schema.equals(MENTION_SCHEMA)
    assert empty.documents.count_rows() == 0, "what is open does not change"


def test_batches_come_in_the_order_of_their_commits_whatever_their_names(layout: Layout) -> None:
    for batch, number in (("z", 5), ("a", 3), ("m", 4)):
        commit(layout, draft(batch, write_documents(layout, batch, [number])), in_threads)
    dataset = open_committed(layout.uri)
    assert [(m.commit, m.batch) for m in dataset.manifests] == [(1, "z"), (2, "a"), (3, "m")]
    assert dataset.documents.to_table()["source_id"].to_pylist() == ["5", "3", "4"]
    found = find_manifest(layout, "a")
    assert found is not None
    assert found.commit == 2


def test_runs_that_commit_at_once_get_a_number_each(layout: Layout) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: write_manifest(layout, draft(f"b{i}", [])), range(8)))
    assert sorted(m.commit for m in made) == list(range(1, 9))
    assert {(m.commit, m.batch) for m in open_committed(layout.uri).manifests} == {(m.commit, m.batch) for m in made}


def test_of_runs_that_commit_one_batch_the_first_stays(layout: Layout) -> None:
    def attempt(i: int) -> str:
        try:
            write_manifest(layout, draft("b", [], run_id=f"run {i}"))
        except DatasetError as e:
            return str(e)
        return ""

    with ThreadPoolExecutor(8) as pool:
        said = sorted(pool.map(attempt, range(8)))
    assert said[0] == ""
    assert all("batch b was committed by another run" in message for message in said[1:])
    assert len(open_committed(layout.uri).manifests) == 1


def test_commits_on_s3_exclude_one_another(bucket: str) -> None:
    layout = Layout.at(f"s3://{bucket}/data")
    ensure(layout, Fingerprint(PARTS), TAG_SETS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write_manifest(layout, draft(f"b{i}", [])), range(4)))
    assert [m.commit for m in open_committed(layout.uri).manifests] == [1, 2, 3, 4]


def test_settling_completes_what_a_crash_left_out_and_removes_what_no_manifest_lists(layout: Layout) -> None:
    names = write_documents(layout, "b", [0, 1])
    manifest = commit(layout, draft("b", names), in_threads)
    batch = layout.batch("b")
    before = {p: p.read_bytes() for p in Path(layout.uri).rglob("*") if p.is_file()}
    (Path(batch.mentions) / "1.parquet").unlink()
    (Path(batch.documents) / "unlisted.parquet").touch()
    others = Path(batch.documents) / "2.parquet.part"  # what another run is writing
    others.touch()
    settle(batch, manifest, in_threads)
    others.unlink()
    assert {p: p.read_bytes() for p in Path(layout.uri).rglob("*") if p.is_file()} == before


def test_an_unknown_major_version_is_refused(layout: Layout) -> None:
    write_manifest(layout, draft("b", [], schema_version="9.0"))
    with pytest.raises(DatasetError, match=r"00000001\.json: schema version 9\.0"):
        open_committed(layout.uri)
    described = json.loads(Path(layout.description).read_text())
    Path(layout.description).write_text(json.dumps({"schema_version": "9.1", "name": described["name"]}))
    with pytest.raises(DatasetError, match=r"dataset\.json: schema version 9\.1"):
        open_committed(layout.uri)


def test_another_fingerprint_is_refused_with_the_difference(layout: Layout) -> None:
    ensure(layout, Fingerprint(dict(reversed(PARTS.items()))), TAG_SETS)
    with pytest.raises(FingerprintMismatchError, match=r"generator\.model: m -> n") as e:
        ensure(layout, Fingerprint({**PARTS, "generator.model": "n"}), TAG_SETS)
    assert "segmentation" not in str(e.value)


def test_the_description_holds_definitions_and_the_parts_of_the_fingerprint(layout: Layout) -> None:
    described = describe(layout)
    assert described.name == "data"
    assert described.tag_sets == TAG_SETS
    assert Fingerprint(described.parts).hash == described.fingerprint


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set here"):
        open_committed(str(tmp_path))


@pytest.mark.parametrize("name", ["dataset.json", "commits/00000001.json"])
def test_a_damaged_file_is_named(layout: Layout, name: str) -> None:
    path = Path(layout.uri) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    with pytest.raises(DatasetError, match=rf"{path.name}: not a"):
        open_committed(layout.uri)


ALONE = """
import importlib.abc, pkgutil, sys

ALLOWED = ["llmner", *(f"llmner.{name}" for name in ("dataset", "storage", "documents", "mentions", "errors"))]
THIRD = {"pyarrow", "fsspec", "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
         "typing_inspection", "numpy"}

class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        ours = top == "llmner" and ".".join(name.split(".")[:2]) not in ALLOWED
        theirs = not top.startswith("_") and top not in sys.stdlib_module_names | THIRD | {"llmner"}
        if ours or theirs:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Guard())
import llmner.dataset
for module in pkgutil.iter_modules(llmner.dataset.__path__):
    __import__(f"llmner.dataset.{module.name}")
from llmner.dataset.reading import open_committed
print(open_committed(sys.argv[1]).mentions.to_table().num_rows)
"""


def test_it_is_read_with_nothing_but_pyarrow_fsspec_and_pydantic(layout: Layout) -> None:
    commit(layout, draft("b", write_documents(layout, "b", [0, 1])), in_threads)
    command = [sys.executable, "-c", ALONE, layout.uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr
