"""``llmner nightly`` as people and schedulers meet it: what it says, its exit codes, and whom it tells of a failure."""

import json
import subprocess
import sys
from pathlib import Path

from small_dataset import Document, commit
from typer.testing import CliRunner

from llmner.cli import app


def test_a_failure_is_told_to_a_command(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    command = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"w\").write(sys.stdin.read())' {told}"
    arguments = ["nightly", str(tmp_path / "none"), "--output", str(tmp_path / "out"), "--on-failure", command]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    failure = json.loads(told.read_text())
    assert failure["exit_code"] == 1
    assert "no such file or folder" in failure["message"]


def test_a_command_that_fails_itself_hides_nothing(tmp_path: Path) -> None:
    arguments = ["nightly", str(tmp_path / "none"), "--output", str(tmp_path / "out"), "--on-failure", "not-there"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "no such file or folder" in result.output


def test_snapshots_are_listed_with_what_they_brought(tmp_path: Path) -> None:
    commit(str(tmp_path), "first", [Document("1", "Asthma."), Document("2", "Fever.")])
    commit(str(tmp_path), "second", [Document("1", "", status="withdrawn")])
    result = CliRunner().invoke(app, ["snapshots", str(tmp_path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if "first" in line or "second" in line]
    assert [line.split()[1] for line in lines] == ["1", "2"]


def test_what_was_compacted_is_no_snapshot_any_more(tmp_path: Path) -> None:
    for number in range(1, 5):
        commit(str(tmp_path), f"night-{number}", [Document(str(number), "Asthma.")])
    result = CliRunner().invoke(app, ["compact", str(tmp_path), "--keep", "1"])
    assert result.exit_code == 0
    assert "4 files into 1, 0 rows dropped" in result.output
    assert "commit 4" in result.output
    result = CliRunner().invoke(app, ["snapshots", str(tmp_path)], env={"COLUMNS": "200"})
    assert "night-4" in result.output
    assert "night-3" not in result.output
    again = CliRunner().invoke(app, ["compact", str(tmp_path), "--keep", "1"])
    assert "4 files that the compaction before" in again.output


def test_log_lines_in_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmner", "--log-format", "json", "nightly", str(tmp_path), "--output", "out"]
    (tmp_path / "notes.docx").write_text("passed over")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert done.returncode == 1
    line = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{")))
    assert line["level"] == "WARNING"
    assert "1 files passed over: notes.docx" in line["message"]
