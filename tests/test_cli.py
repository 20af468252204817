"""The command line: what is wrong with a command is said in a line, with the exit code that belongs to it."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmner.cli import app


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "out"], "inputs: Field required"),
        (["a.xml"], "output: Field required"),
        (["a.xml", "--output", "out", "--limit", "0"], "limit: Input should be greater than or equal to 1"),
        (["a.xml", "--output", "out", "--format", "docx"], "format: no such format: docx (one of"),
        (["a.xml", "--output", "out", "--tag-set", "none"], "no tag set 'none' (bundled: anatem"),
        (["a.xml", "--output", "out", "--batch", "a/b"], "batch: String should match"),
        (["--config", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], said: str) -> None:
    code, output = call("extract", *arguments)
    assert (code, said in output) == (2, True), output
    assert "Traceback" not in output


def test_an_input_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    code, output = call("extract", str(tmp_path / "none.xml"), "--output", str(tmp_path / "out"))
    assert code == 1
    assert "none.xml: no such file or folder" in output
    assert not (tmp_path / "out").exists()


def test_help_loads_neither_torch_nor_ray() -> None:
    program = "import sys, llmner.cli; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_module_and_job_are_the_same_command() -> None:
    root = Path(__file__).resolve().parents[1]
    for command in (["-m", "llmner", "extract"], [str(root / "jobs" / "extract.py")]):
        done = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, check=True)
        assert "--config" in done.stdout
