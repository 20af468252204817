"""Kubernetes: each overlay rendered by the real kustomize, each object held against the schema of its kind.

Kubernetes' own kinds have their published schemas, with what those leave out (enumerations, and that names refer to
something) added here; pods inside Ray's kinds are checked as pods; Ray's kinds themselves are in ``ray_kinds``.
"""

import tempfile
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from infra.checks import ray_kinds
from infra.checks.tools import ProblemError, run, said

Object = dict[str, Any]

VERSION = "1.33"
SECRETS = {"llmner-storage"}  # made by hand, see docs/deploy.md

# The published schemas hold no enumerations.
ENUMERATIONS = {
    "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "policyTypes": {"Ingress", "Egress"},
    "protocol": {"TCP", "UDP", "SCTP"},
    "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
    "medium": {"", "Memory"},
}
TOLERATION_OPERATORS = {"Exists", "Equal"}

# The part of the Prometheus operator's PodMonitor that is used here.
POD_MONITOR = {
    "type": "object",
    "required": ["selector", "podMetricsEndpoints"],
    "additionalProperties": False,
    "properties": {
        "selector": {"required": ["matchLabels"], "additionalProperties": False, "properties": {"matchLabels": {}}},
        "podMetricsEndpoints": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["port"],
                "additionalProperties": False,
                "properties": {"port": {"type": "string"}, "interval": {"pattern": r"^[1-9]\d*s$"}},
            },
        },
    },
}


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of all overlays, and of the component on top of one."""
    folder = infra / "kubernetes"
    for overlay in sorted((folder / "overlays").iterdir()):
        yield from _prefixed(f"overlays/{overlay.name}", _checked(render(overlay), folder))
    yield from _prefixed("components/raycronjob", _checked(_with_component(folder), folder))


def render(kustomization: Path) -> list[Object]:
    """Return the objects of a kustomization.

    Raises:
        ProblemError: kustomize refuses it, or has something to complain about.
    """
    done = run("kubectl", "kustomize", "--load-restrictor", "LoadRestrictionsNone", kustomization)
    if done.returncode or done.stderr.strip():
        raise ProblemError(f"{kustomization.name}: kustomize: {done.stderr.strip()}")
    return [o for o in yaml.safe_load_all(done.stdout) if o]


def _with_component(folder: Path) -> list[Object]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        paths = {"resources": ["../overlays/gpu"], "components": ["../components/raycronjob"]}
        (Path(name) / "kustomization.yaml").write_text(yaml.safe_dump(paths))
        return render(Path(name))


def _prefixed(where: str, problems: Iterator[str]) -> Iterator[str]:
    try:
        yield from (f"{where}: {problem}" for problem in problems)
    except ProblemError as e:
        yield f"{where}: {e}"


def _checked(objects: list[Object], folder: Path) -> Iterator[str]:
    jobs = [o for o in objects if o["kind"] == "RayJob"]
    if any(o["kind"] == "CronJob" for o in objects):
        objects = [*objects, *(nightly(job, folder / "base" / "nightly-patch.yaml") for job in jobs)]
    for o in objects:
        name = f"{o['kind']} {o['metadata'].get('name') or o['metadata'].get('generateName')}"
        if o["kind"] in ray_kinds.KINDS:
            problems = ray_kinds.problems(o)
        elif o["kind"] == "PodMonitor":
            problems = (e.message for e in jsonschema.Draft202012Validator(POD_MONITOR).iter_errors(o["spec"]))
        else:
            problems = _of_kubernetes(o)
        yield from (f"{name}: {problem}" for problem in problems)
        yield from (f"{name}: {problem}" for problem in _enumerations(o))
        for where, template in pods(o):
            yield from (f"{name}: {where}: {problem}" for problem in _pod(template))
    yield from _references(objects)


def nightly(job: Object, patch: Path) -> Object:
    """Return the RayJob that nightly.sh makes of the baseline's, made the same way.

    Raises:
        ProblemError: The patch cannot be applied.
    """
    arguments = ["--type", "merge", "--patch-file", patch, "--output", "json"]
    done = run("kubectl", "patch", "--local", "--filename", "-", *arguments, stdin=yaml.safe_dump(job))
    if done.returncode:
        raise ProblemError(f"{patch.name}: {done.stderr.strip()}")
    made: Object = yaml.safe_load(done.stdout)
    return made


def _of_kubernetes(o: Object) -> Iterator[str]:
    try:
        kubernetes_validate.validate(o, VERSION, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        yield f"no schema for {o['apiVersion']} {o['kind']}: give it a check of its own"
    except kubernetes_validate.ValidationError as e:
        yield f"{'.'.join(map(str, e.path))}: {e.message}"


def pods(o: Object) -> Iterator[tuple[str, Object]]:
    """Yield the pod templates in an object, at any depth, and where they are."""

    def walk(node: Any, path: str) -> Iterator[tuple[str, Object]]:
        if isinstance(node, dict):
            if isinstance(node.get("spec"), dict) and "containers" in node["spec"]:
                yield path, node
                return
            for key, value in node.items():
                yield from walk(value, f"{path}.{key}" if path else key)
        elif isinstance(node, list):
            for i, value in enumerate(node):
                yield from walk(value, f"{path}[{i}]")

    return walk(o, "")


def _pod(template: Object) -> Iterator[str]:
    wrapped = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
    yield from _of_kubernetes(wrapped)
    spec = template["spec"]
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "runs as root: securityContext.runAsNonRoot and runAsUser"
    mounted = {v["name"] for v in spec.get("volumes", [])}
    for c in spec["containers"]:
        own = c.get("securityContext", {})
        if own.get("readOnlyRootFilesystem") is not True or own.get("allowPrivilegeEscalation") is not False:
            yield f"container {c['name']}: not readOnlyRootFilesystem, or allowPrivilegeEscalation"
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"container {c['name']}: capabilities are not dropped"
        if "memory" not in c.get("resources", {}).get("limits", {}):
            yield f"container {c['name']}: no limit of memory"
        if missing := sorted({m["name"] for m in c.get("volumeMounts", [])} - mounted):
            yield f"container {c['name']}: mounts volumes that are not there: {', '.join(missing)}"
        for variable in c.get("env", []):
            if "value" in variable and any(w in variable["name"] for w in ("KEY", "SECRET", "TOKEN", "PASSWORD")):
                yield f"container {c['name']}: {variable['name']} is given in the open: take it from a secret"
        if ":" not in c.get("image", ""):
            yield f"container {c['name']}: image {c.get('image')!r} has no tag"


def _enumerations(o: Object) -> Iterator[str]:
    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, str) and key in ENUMERATIONS and one not in ENUMERATIONS[key]:
                        yield f"{key}: {one!r} is none of {', '.join(sorted(ENUMERATIONS[key]))}"
                if key == "tolerations":
                    yield from (
                        f"toleration: operator {t['operator']!r}"
                        for t in value
                        if t.get("operator", "Equal") not in TOLERATION_OPERATORS
                    )
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    return walk(o)


def _references(objects: list[Object]) -> Iterator[str]:
    """Yield the names, labels and ports that refer to nothing."""
    maps = {o["metadata"].get("name") for o in objects if o["kind"] == "ConfigMap"}
    accounts = {o["metadata"].get("name") for o in objects if o["kind"] == "ServiceAccount"}
    templates = [template for o in objects for _, template in pods(o)]
    for spec in (t["spec"] for t in templates):
        if (account := spec.get("serviceAccountName")) and account not in accounts:
            yield f"no ServiceAccount {account}"
        for volume in spec.get("volumes", []):
            if (name := volume.get("configMap", {}).get("name")) and name not in maps:
                yield f"no ConfigMap {name}"
        for source in (s for c in spec["containers"] for s in c.get("envFrom", [])):
            if (name := source.get("secretRef", {}).get("name")) not in SECRETS:
                yield f"no secret {name}"
    ports = {p["name"] for t in templates for c in t["spec"]["containers"] for p in c.get("ports", [])}
    for o in objects:
        spec = o.get("spec", {})
        for key in ("selector", "podSelector"):
            labels = spec.get(key, {}).get("matchLabels", {}).items()
            if labels and not any(labels <= t["metadata"]["labels"].items() for t in templates):
                yield f"{o['kind']} {o['metadata']['name']}: {key} matches no pod"
        wanted = [e["port"] for e in spec.get("podMetricsEndpoints", [])]
        wanted += [p["port"] for rule in spec.get("ingress", []) for p in rule.get("ports", [])]
        if missing := sorted({p for p in wanted if isinstance(p, str)} - ports):
            yield f"{o['kind']} {o['metadata']['name']}: no pod has a port {', '.join(missing)}"
        if "roleRef" in o and o["roleRef"]["name"] not in {
            r["metadata"]["name"] for r in objects if r["kind"] == "Role"
        }:
            yield f"RoleBinding {o['metadata']['name']}: no Role {o['roleRef']['name']}"
    for o in (o for o in objects if o["kind"] in ("CronJob", "RayCronJob")):
        yield from (f"{o['kind']}: {problem}" for problem in _schedule(o["spec"]))
    for o in (o for o in objects if o["kind"] == "CronJob"):
        if o["spec"].get("concurrencyPolicy") != "Forbid" or "startingDeadlineSeconds" not in o["spec"]:
            yield f"CronJob {o['metadata']['name']}: concurrencyPolicy Forbid and a startingDeadlineSeconds are needed"


def _schedule(spec: Object) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".crontab") as table:
        table.write(f"{spec['schedule']} true\n")
        table.flush()
        done = run("crontab", "-n", table.name)
    if done.returncode:
        yield from (f"schedule {spec['schedule']!r}: {line}" for line in said(done) if line.startswith('"'))
    if spec.get("timeZone") not in zoneinfo.available_timezones():
        yield f"timeZone {spec.get('timeZone')!r}: no time zone"
