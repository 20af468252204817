"""YAML and JSON as such: every file is readable, without repeated keys, tabs or very long lines."""

import json
from collections.abc import Iterator
from pathlib import Path

from infra.checks.tools import run, said

RULES = """
extends: relaxed
rules:
  line-length: {max: 120}
  key-duplicates: {forbid-duplicated-merge-keys: false}
"""


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of the files with these endings."""
    done = run("yamllint", "--strict", "--format", "parsable", "--config-data", RULES, infra)
    yield from (line.removeprefix(f"{infra}/") for line in said(done))
    for path in sorted(infra.rglob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as e:
            yield f"{path.relative_to(infra)}: no JSON: {e}"
