"""Every Python snippet of docs/python.md runs, with the embedded model and a data set that the command made."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmner.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("cluster")
def test_every_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.jsonl").write_text(json.dumps({"id": "1", "text": "Naloxone reverses clonidine."}) + "\n")
    extracted = CliRunner().invoke(app, ["extract", "notes.jsonl", "--output", "entities", "--tag-set", "bc5cdr"])
    assert extracted.exit_code == 0, extracted.output
    names: dict = {}
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for snippet in snippets:
        exec(snippet, names)
    assert ("Naloxone reverses clonidine.", "Naloxone", "Chemical") in names["found"]
    assert "CD28" in str(names["doc"]) or names["docs"]
    assert {"Naloxone", "clonidine"} <= set(names["table"]["text"].to_pylist())
    assert names["texts"]["text"].to_pylist() == ["Naloxone reverses clonidine."]
