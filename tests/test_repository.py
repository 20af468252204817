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
    "llmner.commands.compact",
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
    "llmner.commands.inspect",
    "llmner.commands.report",
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
    "llmner.units",
    "llmner.tagset",
]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules_import_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# The plan of the house. A room may import those listed beside it and the ground, and of the heavy libraries those named
# last; never what stands above it. ARCHITECTURE.md says what each room is for.
GROUND = {
    "errors",
    "cores",
    "settings",
    "resources",
    "storage",
    "mentions",
    "units",
    "documents",
    "tagset",
    "annotations",
}
ROOMS = {
    "segmentation": (set(), set()),
    "sources": (set(), set()),
    "config": ({"sources"}, set()),
    "conversion": ({"segmentation", "sources"}, set()),
    "tagging": ({"segmentation", "config"}, {"torch", "transformers", "peft", "vllm"}),
    "models": ({"tagging", "config"}, {"torch", "transformers", "peft", "vllm"}),
    "selection": ({"models", "tagging", "config"}, {"torch"}),
    "annotator": ({"selection", "tagging", "segmentation"}, set()),
    "evaluation": ({"selection", "tagging"}, set()),
    "dataset": (set(), set()),
    "concepts": (set(), set()),
    "report": ({"concepts", "dataset", "evaluation", "selection"}, set()),
    "linking": ({"concepts", "dataset"}, set()),
    "graph": ({"concepts", "dataset"}, set()),
    "training": ({"evaluation", "selection", "models", "tagging"}, {"torch", "transformers", "peft", "ray"}),
    "extraction": (
        {"annotator", "dataset", "selection", "models", "tagging", "segmentation", "sources", "config"},
        {"ray"},
    ),
    "api": ({"annotator", "report", "selection", "models", "tagging", "config"}, set()),
}
ABOVE = {"commands", "cli", "__init__", "__main__"}  # entry points may import everything
LIBRARIES = {"torch", "ray", "transformers", "vllm", "peft"}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "llmner" else {node.module}
            )
    return found


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_module_belongs_to_a_room() -> None:
    assert {room(path) for path in FILES} == ROOMS.keys() | GROUND | ABOVE


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in ABOVE], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    here = room(path)
    rooms, libraries = ROOMS.get(here, (set(), set()))
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("llmner.")} - {"__version__"}
    assert ours <= rooms | GROUND | {here}
    assert {name.split(".")[0] for name in imports(path)} & LIBRARIES <= libraries


def test_there_is_no_circle_of_rooms() -> None:
    """A room stands in the table below all that it may import, and the ground imports itself without a circle."""
    seen: set[str] = set()
    for here, (rooms, _) in ROOMS.items():
        assert rooms <= seen, here
        seen.add(here)
    ground = {n: {i.split(".")[1] for i in imports(PACKAGE / f"{n}.py") if i.startswith("llmner.")} for n in GROUND}
    while ground:
        free = {name for name, needs in ground.items() if not needs & ground.keys()}
        assert free, f"a circle among {sorted(ground)}"
        ground = {name: needs for name, needs in ground.items() if name not in free}


def test_library_never_prints() -> None:
    calls = [
        f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []
