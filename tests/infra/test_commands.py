"""What infra/ and docs/ tell people and machines to run is what the programs take."""

from pathlib import Path

import pytest
from commands import commands, parse, texts

from llmner.config import load_config

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [p for p in (ROOT / "infra").iterdir() if p.name != "checks"]
FILES = [p for folder in FOLDERS for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"]
FILES += [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
FOUND = [(path, words) for path in sorted(FILES) for text in texts(path) for words in commands(text)]


@pytest.mark.parametrize(("path", "words"), FOUND, ids=[f"{p.name}-{' '.join(w)[:60]}" for p, w in FOUND])
def test_command_lines_parse(path: Path, words: list[str]) -> None:
    parse(words)


def test_command_lines_are_found_in_files_of_every_kind() -> None:
    names = {path.name for path, _ in FOUND}
    assert names >= {"rayjob.yaml", "nightly-patch.yaml", "aws.yaml", "gcp.yaml", "deploy.md", "README.md"}
    assert names >= {"crontab", "llmner.service", "airflow_dag.py", "llmner.sbatch"}


@pytest.mark.parametrize(
    "line", ["llmner extract --outptu x in", "bash -c 'ray start --hed'", "x && llmner extract --limit no"]
)
def test_a_wrong_option_is_refused(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises(Exception, match=r"No such option|valid integer"):
        parse(words)


@pytest.mark.parametrize("path", sorted((ROOT / "infra").rglob("job.yaml")), ids=lambda p: p.parent.name)
def test_job_files_are_jobs(path: Path) -> None:
    load_config(path, {}).load_tag_sets()
