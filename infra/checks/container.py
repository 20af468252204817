"""The image's recipe: hadolint, and what this project asks of every image of its own."""

import re
from collections.abc import Iterator
from pathlib import Path

from infra.checks.tools import run, said

TARGETS = {"cpu", "gpu"}


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of the Dockerfile."""
    path = infra / "container" / "Dockerfile"
    yield from said(run("hadolint", "--no-color", path))
    text = path.read_text(encoding="utf-8")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    heads = [re.match(r"(\S+) AS (\S+)", stage) for stage in stages]
    names = {h[2]: (h[1], stage) for h, stage in zip(heads, stages, strict=True) if h}
    if missing := sorted(TARGETS - names.keys()):
        yield f"Dockerfile: no target {', '.join(missing)}"
    for tag in re.findall(r"^ARG PYTHON=(\S+)", text, re.MULTILINE):
        if not re.fullmatch(r"\d+\.\d+\.\d+-[a-z-]+(@sha256:[0-9a-f]{64})?", tag):
            yield f"Dockerfile: the base python:{tag} is not pinned to a patch release"
    for name in sorted(TARGETS & names.keys()):
        users = re.findall(r"^USER (\S+)", _whole(name, names), re.MULTILINE)
        if not users or users[-1].split(":")[0] in ("0", "root"):
            yield f"Dockerfile: target {name} runs as root"
        if 'ENTRYPOINT ["llmner"]' not in _whole(name, names):
            yield f"Dockerfile: the entry point of target {name} is not the command line"


def _whole(name: str, names: dict[str, tuple[str, str]]) -> str:
    """Return a stage behind the stages that it is built on."""
    base, stage = names[name]
    return (_whole(base, names) if base in names else "") + stage
