"""``llmner evaluate`` from annotated sentences to figures, with a real engine."""

import json

import pytest
import tiny_models
from typer.testing import CliRunner

from llmner.cli import app

SENTENCES = [
    {"text": "aspirin caused gout", "entities": [{"start": 0, "end": 7, "type": "Chemical"}]},
    {"text": "nothing happened", "entities": []},
    {"text": "not measured", "entities": []},
]


def test_figures_are_shown_and_written(tmp_path):
    model = tiny_models.save("llama", tmp_path / "model")
    data, figures = tmp_path / "dev.jsonl", tmp_path / "figures.json"
    data.write_text("".join(json.dumps(s) + "\n" for s in SENTENCES), encoding="utf-8")
    options = ["--data", str(data), "--tag-set", "bc5cdr", "--model", model, "--limit", "2", "--json", str(figures)]
    result = CliRunner().invoke(app, ["evaluate", *options])
    assert result.exit_code == 0, result.output
    for shown in ("Chemical", "nested", "all (micro)", "2 sentences, 0 failed"):
        assert shown in result.output
    written = json.loads(figures.read_text())
    micro = written["scores"]["micro"]
    assert micro["tp"] + micro["fn"] == 1
    assert 0 <= micro["f1"] <= 1
    assert written["sentences"] == 2
    assert written["fed_tokens"] > written["source_tokens"] > 0
    assert written["engine"]["base"].startswith("sha256 ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tag-set", "nonesuch"], "no tag set 'nonesuch'"),
        (["--tag-set", "bc5cdr", "--model", "no/such/model"], "cannot be loaded"),
        (["--tag-set", "genia"], "unknown type 'Chemical'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(options, message, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data = tmp_path / "dev.jsonl"
    data.write_text(json.dumps(SENTENCES[0]) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["evaluate", "--data", str(data), *options])
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert "Traceback" not in result.output
