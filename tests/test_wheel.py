"""The built wheel is whole: installed apart and run from an empty folder, it finds all that it brings along."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from this checkout, installed alone into a directory of its own."""
    wheels = tmp_path_factory.mktemp("wheels")
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = wheels.glob("llmner-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


def run_installed(installed: Path, folder: Path, *command: str) -> str:
    """Output of a command that sees the installed wheel first, run in a folder that is not the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_package_is_the_wheel_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    location = run_installed(installed, tmp_path, sys.executable, "-c", "import llmner; print(llmner.__file__)")
    assert Path(location.strip()).resolve() == (installed / "llmner" / "__init__.py").resolve()


def test_bundled_tag_sets_load(installed: Path, tmp_path: Path) -> None:
    code = "from llmner.tagset import *; print(*(load_tag_set(name).name for name in bundled_tag_sets()))"
    names = run_installed(installed, tmp_path, sys.executable, "-c", code).split()
    assert names == sorted(path.stem for path in (ROOT / "configs" / "tagsets").glob("*.yaml"))
    assert {"bc5cdr", "cmeee_v2", "genia", "ncbi_disease"} <= set(names)


def test_everything_that_is_not_code_comes_along(installed: Path) -> None:
    expected = {
        path.relative_to(ROOT).as_posix().replace("configs/", "llmner/configs/", 1)
        for folder in ("llmner", "configs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert expected <= {path.relative_to(installed).as_posix() for path in installed.rglob("*")}


@pytest.mark.parametrize("command", [["--help"], ["extract", "--help"]])
def test_command_line_starts(installed: Path, tmp_path: Path, command: list[str]) -> None:
    as_module = run_installed(installed, tmp_path, sys.executable, "-m", "llmner", *command)
    as_script = run_installed(installed, tmp_path, sys.executable, str(installed / "bin" / "llmner"), *command)
    assert "extract" in as_module
    assert "extract" in as_script


def test_extraction_needs_nothing_but_the_wheel(installed: Path, tmp_path: Path) -> None:
    text = "Naloxone reversed the respiratory depression caused by morphine."
    (tmp_path / "notes.jsonl").write_text(json.dumps({"id": "1", "text": text, "lang": "en"}) + "\n", encoding="utf-8")
    (tmp_path / "job.yaml").write_text("open_bias: 1\nselect: {mode: on}\n", encoding="utf-8")
    run_installed(
        installed, tmp_path, sys.executable, "-m", "llmner", "extract", "notes.jsonl", "--output", "out",
        "--tag-set", "bc5cdr", "--config", "job.yaml",
    )  # fmt: skip
    (row,) = pyarrow.dataset.dataset(tmp_path / "out" / "batches", exclude_invalid_files=True).to_table().to_pylist()
    assert row["text"] == text
    assert row["status"] == "ok"
    assert {"Naloxone", "morphine"} <= {m["text"] for m in row["mentions"] if m["kept"]}
    assert all(0 < m["selector_score"] < 1 for m in row["mentions"])
