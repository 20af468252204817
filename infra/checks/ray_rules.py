"""What KubeRay's operator (1.7) refuses although its schema lets it pass, and what this project asks for beside."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

Object = dict[str, Any]

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST_NAME = {"RayJob": 47, "RayCronJob": 36}
GENERATED = 5  # characters that the server adds to a generateName
POLICIES = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")  # in the order in which they may act
GROUP_PARAMS = {"num-cpus", "num-gpus", "memory", "resources"}
AUTHENTICATED_FROM = (2, 52)


def broken_rules(o: Object) -> Iterator[str]:
    """Yield the rules that an object breaks."""
    yield from _name(o)
    spec = o["spec"]
    if o["kind"] == "RayCronJob":
        if "TZ=" in spec["schedule"]:
            yield "schedule: the time zone belongs in timeZone"
        spec = spec["jobTemplate"]
    yield from _job(spec)
    cluster = spec.get("rayClusterSpec", {})
    yield from chain(_deletion(spec, cluster), _cluster(cluster), _authentication(cluster))


def _name(o: Object) -> Iterator[str]:
    name, generated = o["metadata"].get("name"), o["metadata"].get("generateName", "")
    whole = name or generated + "x" * GENERATED
    if len(whole) > LONGEST_NAME[o["kind"]] or not NAME.fullmatch(whole):
        yield f"name {whole!r}: at most {LONGEST_NAME[o['kind']]} characters, lower case letters, digits and dashes"


def _job(spec: Object) -> Iterator[str]:
    for key in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if not spec.get(key, 0) > 0:
            yield f"{key}: a run without a deadline may hang for ever"
    if not spec.get("backoffLimit", 0) > 0:
        yield "backoffLimit: without it a lost head ends the run"
    if spec.get("backoffLimit") and (spec.get("clusterSelector") or spec.get("submissionMode") == "InteractiveMode"):
        yield "backoffLimit: not with clusterSelector or InteractiveMode"
    shutdown = spec.get("shutdownAfterJobFinishes", False)
    if spec.get("ttlSecondsAfterFinished") and not shutdown:
        yield "ttlSecondsAfterFinished: needs shutdownAfterJobFinishes"
    if spec.get("suspend") and not shutdown:
        yield "suspend: needs shutdownAfterJobFinishes"
    if spec.get("submissionMode") == "SidecarMode" and ("submitterPodTemplate" in spec or "submitterConfig" in spec):
        yield "SidecarMode: has no submitterPodTemplate and no submitterConfig"


def _deletion(spec: Object, cluster: Object) -> Iterator[str]:
    rules = spec.get("deletionStrategy", {}).get("deletionRules", [])
    if not rules and not spec.get("shutdownAfterJobFinishes"):
        yield "deletionStrategy: nothing ever deletes the cluster"
    if rules and spec.get("shutdownAfterJobFinishes"):
        yield "deletionRules: not with shutdownAfterJobFinishes"
    seconds: dict[tuple[str, str], int] = {}
    for rule in rules:
        condition = rule["condition"]
        status = condition.get("jobStatus") or condition.get("jobDeploymentStatus", "")
        if (status, rule["policy"]) in seconds:
            yield f"deletionRules: two rules {rule['policy']} for {status}"
        seconds[status, rule["policy"]] = condition.get("ttlSeconds", 0)
        if rule["policy"] == "DeleteWorkers" and cluster.get("enableInTreeAutoscaling"):
            yield "deletionRules: DeleteWorkers not with autoscaling"
    for status in {status for status, _ in seconds}:
        order = [seconds[status, policy] for policy in POLICIES if (status, policy) in seconds]
        if order != sorted(order):
            yield f"deletionRules: for {status} workers go first, then the cluster, then the job"
    for status in ("SUCCEEDED", "FAILED", "Failed"):
        if rules and not any(s == status for s, _ in seconds):
            yield f"deletionRules: after {status} nothing deletes the cluster"


def _cluster(cluster: Object) -> Iterator[str]:
    scaler = cluster.get("autoscalerOptions", {}).get("version")
    groups = [
        ("head", cluster.get("headGroupSpec", {})),
        *((g["groupName"], g) for g in cluster.get("workerGroupSpecs", [])),
    ]
    names = [name for name, _ in groups]
    if len(set(names)) < len(names):
        yield f"workerGroupSpecs: names repeat: {', '.join(names)}"
    for name, group in groups:
        pod = group.get("template", {}).get("spec", {})
        if scaler == "v2" and pod.get("restartPolicy", "Never") != "Never":
            yield f"group {name}: autoscaler v2 wants restartPolicy Never"
        if scaler != "v2" and "idleTimeoutSeconds" in group:
            yield f"group {name}: idleTimeoutSeconds needs autoscaler v2"
        params = group.get("rayStartParams", {})
        if "labels" in params:
            yield f"group {name}: labels do not belong into rayStartParams"
        if "resources" in group and GROUP_PARAMS & params.keys():
            yield f"group {name}: resources and rayStartParams both say what the group has"
        if name != "head" and not group.get("minReplicas", 0) <= group.get("replicas", 0) <= group.get(
            "maxReplicas", 0
        ):
            yield f"group {name}: minReplicas <= replicas <= maxReplicas"


def _authentication(cluster: Object) -> Iterator[str]:
    mode = cluster.get("authOptions", {}).get("mode")
    version = cluster.get("rayVersion", "")
    if mode != "token":
        yield "authOptions.mode: say token; a head that sets nothing and a node that sets it do not meet"
    if not version or tuple(map(int, version.split(".")[:2])) < AUTHENTICATED_FROM:
        yield f"rayVersion {version!r}: token authentication needs 2.52 or later"
