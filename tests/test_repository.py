"""Guards of the architecture: what stays light, and what the library never does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import llmner

PACKAGE = Path(llmner.__file__).resolve().parent
HEAVY = ("torch", "ray", "transformers", "vllm")

LIGHT_MODULES = [
    "llmner",
    "llmner.annotator",
    "llmner.commands.progress",
    "llmner.commands.publish",
    "llmner.conversion",
    "llmner.dataset.commit",
    "llmner.dataset.lock",
    "llmner.dataset.reading",
    "llmner.commands.export",
    "llmner.commands.graph",
    "llmner.commands.lexicon",
    "llmner.commands.link",
    "llmner.concepts",
    "llmner.documents",
    "llmner.errors",
    "llmner.evaluation.bootstrap",
    "llmner.evaluation.figures",
    "llmner.evaluation.mistakes",
    "llmner.evaluation.scoring",
    "llmner.extraction.resolve",
    "llmner.extraction.stages",
    "llmner.graph.check",
    "llmner.graph.ladybug",
    "llmner.linking.link",
    "llmner.linking.readers",
    "llmner.mentions",
    "llmner.segmentation",
    "llmner.sources.registry",
    "llmner.selection.calibration",
    "llmner.selection.candidates",
    "llmner.selection.competition",
    "llmner.selection.samples",
    "llmner.selection.selector",
    "llmner.selection.tuning",
    "llmner.tagging.answers",
    "llmner.tagging.drafting",
    "llmner.tagging.ebnf",
    "llmner.tagging.engine",
    "llmner.tagging.grammar",
    "llmner.tagging.layouts",
    "llmner.tagging.markup",
    "llmner.tagging.prompts",
    "llmner.tagging.units",
    "llmner.tagset",
]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules_import_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_library_never_prints() -> None:
    calls = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []
