"""Every Python snippet of docs/operations.md runs: readers that know nothing of data sets, on what was published."""

import re
from pathlib import Path

import pytest
from small_dataset import Document, commit

from llmner.dataset.published import publish_view

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_every_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    ids = ("1", "100001")
    commit("entities", "one", [Document(id, "Fever.", [("Fever", "Disease")]) for id in ids])
    publish_view("entities")
    revised = Document(ids[0], "Asthma and aspirin.", [("Asthma", "Disease"), ("aspirin", "Chemical")])
    commit("entities", "two", [revised])
    publish_view("entities", delta=True)
    names: dict = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(snippet, names)
        if "pandas" in snippet:
            assert sorted(names["table"]["text"]) == ["Asthma", "Fever", "aspirin"]
    assert sorted(names["types"]) == [("Chemical", 1), ("Disease", 2)]
    assert sorted(names["frame"]["text"].to_list()) == ["Asthma", "Fever"]
    assert sorted(names["mentions"]["text"]) == ["Asthma", "Fever", "aspirin"]
    assert names["rows"] == [(3,)]
