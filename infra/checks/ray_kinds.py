"""Ray's kinds: the fields that these files use, the operator's rules, and KubeRay's own schema where there is one.

KubeRay's schema (v1 of RayJob, RayCronJob) comes from the folder that ``KUBERAY_SCHEMAS`` names, as
``rayjobs.v1.schema.json``, or else from the cluster that kubectl knows. It is made strict: an unknown field is a fault,
as it is silently dropped by a server.
"""

import functools
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import yaml

from infra.checks.ray_rules import broken_rules
from infra.checks.tools import ProblemError, run

Object = dict[str, Any]

KINDS = {"RayJob": "rayjobs", "RayCronJob": "raycronjobs"}


def problems(o: Object) -> Iterator[str]:
    """Yield what is wrong with an object of one of Ray's kinds."""
    if o["apiVersion"] != "ray.io/v1":
        yield f"apiVersion {o['apiVersion']}: ray.io/v1 is meant"
    own = list(_held_against(_own_schema()[o["kind"]], o["spec"], "spec"))
    yield from own
    if (published := published_schema(o["kind"])) is not None:
        yield from _held_against(published, o, "")
        yield from _cel(published, o, "")
    if not own:  # the rules read the fields
        yield from broken_rules(o)


@functools.cache
def _own_schema() -> Object:
    schemas: Object = yaml.safe_load((Path(__file__).parent / "ray_fields.yaml").read_text(encoding="utf-8"))
    return schemas


@functools.cache
def published_schema(kind: str) -> Object | None:
    """Return KubeRay's schema of a kind, made strict; None where there is none.

    Raises:
        ProblemError: ``KUBERAY_SCHEMAS`` names a folder that does not hold it.
    """
    if folder := os.environ.get("KUBERAY_SCHEMAS"):
        path = Path(folder) / f"{KINDS[kind]}.v1.schema.json"
        if not path.exists():
            raise ProblemError(f"KUBERAY_SCHEMAS: there is no {path}")
        return _strict(json.loads(path.read_text(encoding="utf-8")))
    done = run("kubectl", "get", "crd", f"{KINDS[kind]}.ray.io", "--output", "json", "--request-timeout", "5s")
    if done.returncode:
        return None
    versions = json.loads(done.stdout)["spec"]["versions"]
    return _strict(next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1"))


def _strict(schema: Object) -> Object:
    """Return the schema for jsonschema: no unknown fields, and Kubernetes' own words translated."""

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(n) for n in node]
        if not isinstance(node, dict):
            return node
        node = {key: walk(value) for key, value in node.items()}
        if isinstance(node.get("properties"), dict) and not node.get("x-kubernetes-preserve-unknown-fields"):
            node.setdefault("additionalProperties", False)
        if node.get("x-kubernetes-int-or-string") is True:
            node = {k: v for k, v in node.items() if k != "anyOf"} | {"type": ["integer", "string"]}
        if node.get("nullable") is True and isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]
        return node

    strict: Object = walk(deepcopy(schema))
    strict["properties"]["metadata"] = {"type": "object"}
    return strict


def _held_against(schema: Object, value: Any, where: str) -> Iterator[str]:
    for error in jsonschema.Draft202012Validator(schema).iter_errors(value):
        yield f"{'.'.join(filter(None, [where, *map(str, error.absolute_path)]))}: {error.message[:200]}"


def _cel(schema: Object, value: Any, where: str) -> Iterator[str]:
    """Yield the broken rules in the Common Expression Language; those on a change of value are passed over."""
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"]:
            environment = celpy.Environment()
            program = environment.program(environment.compile(rule["rule"]))
            if not program.evaluate({"self": celpy.json_to_cel(value)}):
                yield f"{where}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        for key, below in schema.get("properties", {}).items():
            if key in value:
                yield from _cel(below, value[key], f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _cel(schema.get("items", {}), one, f"{where}[{i}]")
