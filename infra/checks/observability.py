"""Prometheus and Grafana: promtool on configuration, rules and their tests; the dashboard against Grafana's own types.

No Grafana server takes part: TypeScript holds the dashboard against the types of ``@grafana/schema``. Every series that
a rule or a panel names must be in ``metrics.txt``, which a test compares with what a run really shows.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import promql_parser
import yaml

from infra.checks.tools import HOME, run, said

COMPILER = ("--noEmit", "--skipLibCheck", "--strict", "--moduleResolution", "bundler", "--module", "esnext")
VARIABLES = re.compile(r"\$\{?\w+\}?")


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of the files in ``observability``."""
    folder = infra / "observability"
    yield from _promtool(folder)
    rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))
    dashboard = json.loads((folder / "dashboard.json").read_text(encoding="utf-8"))
    yield from _tested(folder, rules)
    yield from _typed(folder / "dashboard.json")
    known = set((folder / "metrics.txt").read_text(encoding="utf-8").split())
    known |= {r["record"] for g in rules["groups"] for r in g["rules"] if "record" in r}
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield from _series(f"rules.yml: {rule.get('alert') or rule['record']}", rule["expr"], known)
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield from _series(f"dashboard.json: {panel['title']}", target["expr"], known)


def _promtool(folder: Path) -> Iterator[str]:
    for verb, kind, file in (("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml")):
        yield from _failed(file, run("promtool", verb, kind, folder / file))
    yield from _failed("rules_test.yml", run("promtool", "test", "rules", folder / "rules_test.yml"))


def _failed(file: str, done: CompletedProcess[str]) -> Iterator[str]:
    if done.returncode:
        yield from (f"{file}: {line}" for line in said(done) if "SUCCESS" not in line)


def _tested(folder: Path, rules: dict[str, Any]) -> Iterator[str]:
    """Yield the alerts that no test sees fire."""
    tests = yaml.safe_load((folder / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {a["alertname"] for t in tests for a in t.get("alert_rule_test", []) if a["exp_alerts"]}
    alerts = {r["alert"] for g in rules["groups"] for r in g["rules"] if "alert" in r}
    yield from (f"rules_test.yml: no test in which {name} fires" for name in sorted(alerts - fired))


def _typed(path: Path) -> Iterator[str]:
    """Yield where Grafana's types do not hold; the compiler looks less closely at a dashboard that is imported."""
    program = "import type { Dashboard } from '@grafana/schema';\nexport const dashboard: Partial<Dashboard> = "
    with tempfile.TemporaryDirectory(dir=HOME) as name:
        source = Path(name) / "dashboard.ts"
        source.write_text(program + path.read_text(encoding="utf-8"), encoding="utf-8")
        done = run("node", HOME / "node_modules" / "typescript" / "bin" / "tsc", *COMPILER, source)
    if done.returncode:
        yield from (f"{path.name}: {line.rpartition('dashboard.ts')[2]}" for line in said(done))


def _series(where: str, expression: str, known: set[str]) -> Iterator[str]:
    expression = VARIABLES.sub("1", expression.replace("$__rate_interval", "5m"))
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as e:
        yield f"{where}: no PromQL: {e}"
        return
    if missing := sorted(_names(parsed) - known):
        yield f"{where}: no run shows {', '.join(missing)}"


def _names(node: Any) -> set[str]:
    """Return the series that a parsed expression reads, at any depth."""
    if isinstance(node, promql_parser.VectorSelector):
        return {node.name}
    names = ("expr", "lhs", "rhs", "vector_selector", "args", "vs", "param")
    below = [getattr(node, name) for name in names if getattr(node, name, None) is not None]
    flat = [b for one in below for b in (one if isinstance(one, list) else [one])]
    return set().union(*map(_names, flat)) if flat else set()
