"""Which batch is newer, and which ones a new baseline has replaced."""

from pathlib import Path
from shutil import rmtree

import pytest
from small_dataset import Document, commit

from llmner import storage
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import Manifest, count_replaced, oldest_first, read_manifests
from llmner.dataset.schema import SCHEMA_VERSION

Batch = tuple[str | None, int | None]  # place; the commit that is tried again


def manifests(*batches: Batch, replaces: str | None = None) -> list[Manifest]:
    """Manifests of batches in the order of their commits; the last one may complete a baseline."""
    made = [
        Manifest(
            schema_version=SCHEMA_VERSION,
            commit=commit,
            batch=f"batch-{commit}",
            inputs_digest="",
            fingerprint="",
            inputs=[],
            files=[],
            counts={},
            tag_sets={},
            started="",
            finished="",
            run_id="",
            versions={},
            place=place,
            retries=retries,
        )
        for commit, (place, retries) in enumerate(batches, 1)
    ]
    return [*made[:-1], made[-1].model_copy(update={"replaces": replaces})]


@pytest.mark.parametrize(
    ("batches", "order"),
    [
        ([("a", None), ("b", None), ("c", None)], [1, 2, 3]),
        ([("a", None), ("c", None), ("b", None)], [1, 3, 2]),
        ([(None, None), ("b", None), ("a", None), (None, None)], [1, 3, 2, 4]),
        ([("b", None), (None, None), ("a", None)], [3, 1, 2]),
        ([("a", None), ("b", None), ("a", None)], [1, 3, 2]),  # the same name again is newer than the first
        ([("a", None), ("b", None), (None, 1), (None, 1), (None, 2)], [1, 3, 4, 2, 5]),
        ([("a", None), ("c", None), (None, 2), ("b", None)], [1, 4, 2, 3]),
    ],
)
def test_content_is_as_old_as_its_place(batches: list[Batch], order: list[int]) -> None:
    assert [m.commit for m in oldest_first(manifests(*batches))] == order


def test_a_baseline_replaces_what_is_older_than_its_first_file() -> None:
    batches: list[Batch] = [(None, None), ("26n2", None), ("27n1", None), ("26n3", None), ("27n2", None), (None, None)]
    ordered = oldest_first(manifests(*batches, replaces="27n1"))
    assert [m.commit for m in ordered] == [1, 2, 4, 3, 5, 6]
    assert count_replaced(ordered) == 3
    assert count_replaced(oldest_first(manifests(*batches))) == 0


def test_a_manifest_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, read = Layout.at(str(tmp_path / "set")), []
    read_bytes = storage.read_bytes
    monkeypatch.setattr(storage, "read_bytes", lambda uri: read.append(uri) or read_bytes(uri))
    for number in range(1, 4):
        commit(layout.uri, f"batch-{number}", [Document("1", "Asthma.")])
        assert [m.batch for m in read_manifests(layout)] == [f"batch-{n}" for n in range(1, number + 1)]
    read_manifests(layout)
    assert [uri for uri in read if uri.startswith(layout.commits)] == [layout.manifest(n) for n in range(1, 4)]
    rmtree(layout.uri)
    commit(layout.uri, "another", [Document("1", "Asthma.")])
    assert [m.batch for m in read_manifests(layout)] == ["another"]
