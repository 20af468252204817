"""Terraform and the storage policy: syntax, names that hang together, policy checks, least rights."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hcl2
from lark.exceptions import LarkError

from infra.checks.tools import HOME, ProblemError, run, said

BUCKET = "example-bucket"  # in the place of the policy's variable


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of the files in ``cloud``; the tests hold those for `ray up` against Ray's own schema."""
    folder = infra / "cloud"
    yield from _terraform(folder / "terraform")
    yield from _policy(folder / "policy.json")


def _terraform(folder: Path) -> Iterator[str]:
    declared: set[str] = set()
    blocks: set[str] = set()
    texts: list[str] = []
    for path in sorted(folder.glob("*.tf")):
        texts.append(path.read_text(encoding="utf-8"))
        try:
            content = hcl2.loads(texts[-1])
        except LarkError as e:
            yield f"{path.name}: no HCL: {str(e).splitlines()[0]}"
            continue
        declared |= {name.strip('"') for variable in content.get("variable", []) for name in variable}
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for block in content.get(kind, []):
                blocks |= {f"{prefix}{t}.{n}".replace('"', "") for t, named in block.items() for n in named}
    text = "\n".join(texts)
    used = set(re.findall(r"\bvar\.(\w+)", text))
    yield from (f"variable {name} is used and not declared" for name in sorted(used - declared))
    yield from (f"variable {name} is declared and not used" for name in sorted(declared - used))
    referred = set(re.findall(r"\b((?:data\.)?aws_\w+\.\w+)(?=\.|\])", text))
    yield from (f"{name} is referred to and not there" for name in sorted(referred - blocks))
    yield from _checkov(folder)


def _checkov(folder: Path) -> Iterator[str]:
    program = str(HOME / "checkov" / "bin" / "checkov")
    options = ["--framework", "terraform", "--quiet", "--skip-download", "--output", "json"]
    done = run(program, "--directory", folder, *options)
    if not done.stdout.lstrip().startswith(("{", "[")):
        raise ProblemError(f"checkov: {said(done)[-1:]}")
    report = json.loads(done.stdout)
    if "results" not in report:
        raise ProblemError("checkov found nothing to check")
    yield from (f"checkov cannot read {path}" for path in report["results"].get("parsing_errors", []))
    for failed in report["results"]["failed_checks"]:
        yield f"{failed['resource']}: {failed['check_id']} {failed['check_name']}"


def _policy(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8").replace("${bucket}", BUCKET)
    try:
        policy = json.loads(text)
    except json.JSONDecodeError as e:
        yield f"{path.name}: no JSON: {e}"
        return
    for statement in policy["Statement"]:
        wide = [x for key in ("Action", "Resource") for x in statement[key] if x.endswith("*") and not x.endswith("/*")]
        if wide:
            yield f"{path.name}: {statement['Sid']}: {', '.join(wide)} is more than is needed"
    # Given by folder: where standard input is no terminal, it would wait for a policy there.
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "policy.json").write_text(text, encoding="utf-8")
        done = run("parliament", "--directory", name)
    yield from (f"{path.name}: {line}" for line in said(done))
    if done.returncode and not said(done):
        yield f"{path.name}: parliament ended with {done.returncode}"
