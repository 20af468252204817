"""A table of variants: each trained and measured once, one thing changed at a time."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_training import prepare, settings

JOB = Path(__file__).parents[2] / "jobs" / "ablations.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_variants_are_run_once_and_stand_side_by_side(tmp_path):
    corpus = prepare(tmp_path, "llama") | {"train": "train.jsonl", "dev": "train.jsonl"}
    corpora = [corpus, corpus | {"name": "other", "tag_set": "bc5cdr"}]
    variants = {"joint": {}, "tiny alone": {"leave_out": ["other"]}, "full loss": {"loss": "full"}}
    raw = {**settings(tmp_path, "unused"), "corpora": corpora, "checkpoint_every": 40, "dev_sentences": 20}
    config = tmp_path / "ablations.yaml"
    output = tmp_path / "out"

    def table() -> list[str]:
        config.write_text(yaml.safe_dump({**raw, "variants": variants}, sort_keys=False))
        job = [sys.executable, str(JOB), "--config", str(config), "--data", str(tmp_path), "--output", str(output)]
        subprocess.run([*job, "--steps", "15"], check=True, timeout=400)
        return [line for line in (output / "ablations.md").read_text().splitlines() if line.startswith("|")]

    rows = table()
    assert rows[0] == "| variant | tiny | other |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| joint", "| tiny alone", "| full loss"]
    alone = rows[3].split(" | ")
    assert float(alone[1].split()[0]) > 0.2
    assert alone[2].startswith("*")
    assert "*" not in rows[2]
    figures = {file: file.stat().st_mtime_ns for file in output.glob("*/figures.json")}
    assert len(figures) == 3

    variants["no definitions"] = {"definitions": False}
    assert table()[:5] == rows
    assert {file: file.stat().st_mtime_ns for file in figures} == figures
    assert (output / "no_definitions" / "figures.json").exists()
