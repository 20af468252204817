"""Each fault that is planted in the files of infra/ is found by the check that is meant for it, in its own words."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("kubernetes_validate", reason="runs in the environment of the checkers: make infra-check")

from infra.checks.__main__ import CHECKS, problems

pytestmark = [pytest.mark.infra, pytest.mark.timeout(300)]

INFRA = Path(__file__).resolve().parents[2] / "infra"
KUBERNETES = "kubernetes/base"
GPU = "kubernetes/overlays/gpu"

# Check, file, what stands there, what is put there instead, what is said of it.
FAULTS = [
    (
        "formats",
        f"{KUBERNETES}/nightly.yaml",
        "  schedule:",
        "  schedule: 0 0 * * *\n  schedule:",
        "duplication of key",
    ),
    ("formats", f"{KUBERNETES}/monitor.yaml", "  selector:", "\tselector:", "syntax error"),
    ("formats", "observability/dashboard.json", '"editable": true,', '"editable": true', "no JSON"),
    ("container", "container/Dockerfile", "COPY configs configs", "COPPY configs configs", "unexpected 'C'"),
    ("container", "container/Dockerfile", "3.11.14-slim-bookworm", "3.11-slim", "not pinned"),
    ("container", "container/Dockerfile", "USER 1000:1000\nWORKDIR", "WORKDIR", "target cpu runs as root"),
    ("container", "container/Dockerfile", '["llmner"]', '["bash"]', "entry point"),
    ("container", "container/Dockerfile", "FROM runtime AS gpu", "FROM runtime AS gpus", "no target gpu"),
    ("container", "container/Dockerfile", "--no-install-recommends wget", "wget", "DL3015"),
    ("kubernetes", f"{KUBERNETES}/network.yaml", "  podSelector:\n    match", "  podSelektor:\n    match", "required"),
    ("kubernetes", f"{KUBERNETES}/nightly.yaml", "failedJobsHistory", "failedJobHistory", "failedJobHistoryLimit"),
    ("kubernetes", f"{KUBERNETES}/nightly.yaml", "Policy: Forbid", "Policy: Forbidd", "'Forbidd' is none of"),
    ("kubernetes", f"{KUBERNETES}/nightly.yaml", "15 2 * * *", "15 26 * * *", "bad hour"),
    ("kubernetes", f"{KUBERNETES}/nightly.yaml", "Etc/UTC", "Etc/UCT1", "no time zone"),
    (
        "kubernetes",
        f"{KUBERNETES}/disruption.yaml",
        "kind: PodDisruptionBudget",
        "kind: PodDisruption",
        "no schema for",
    ),
    ("kubernetes", f"{KUBERNETES}/disruption.yaml", "role: head", "role: haed", "selector matches no pod"),
    ("kubernetes", f"{KUBERNETES}/monitor.yaml", "port: metrics", "port: metrix", "no pod has a port metrix"),
    ("kubernetes", f"{KUBERNETES}/monitor.yaml", "interval: 15s", "intervall: 15s", "intervall"),
    (
        "kubernetes",
        f"{KUBERNETES}/access.yaml",
        "  name: llmner-nightly\nrules",
        "  name: nightly\nrules",
        "no Role llmner",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "backoffLimit:", "backofflimit:", "backofflimit"),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "submissionMode: K8sJobMode",
        "submissionMode: Foo",
        "'Foo' is not one of",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", 'num-cpus: "0"', "num-cpus: 0", "0 is not of type 'string'"),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "rayVersion: 2.60.0", "rayVersion: 2.60", "rayVersion"),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "rayVersion: 2.60.0", "rayVersion: 2.51.0", "needs 2.52 or later"),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "mode: token", "mode: disabled", "authOptions.mode: say token"),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "preRunningDeadlineSeconds: 3600",
        "preRunningDeadlineSeconds: 0",
        "preRunn",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "name: llmner\n", f"name: {'llmner-' * 7}x\n", "at most 47 characters"),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "jobDeploymentStatus: Failed",
        "jobStatus: FAILED",
        "two rules DeleteCluster",
    ),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "          jobDeploymentStatus: Failed\n",
        "          jobDeploymentStatus: Failed\n          jobStatus: FAILED\n",
        "deletionRules",
    ),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "policy: DeleteCluster",
        "policy: DeleteWorkers",
        "not with autoscaling",
    ),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "  submissionMode:",
        "  shutdownAfterJobFinishes: true\n  submissionMode:",
        "'shutdownAfterJobFinishes' was unexpected",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "      version: v2\n", "", "idleTimeoutSeconds needs autoscaler v2"),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "restartPolicy: Never\n          service",
        "restartPolicy: Always\n          service",
        "v2 wants",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "name: llmner-job", "name: llmner-jobs", "no ConfigMap llmner-jobs"),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "name: llmner-storage", "name: llmner-keys", "no secret llmner-keys"),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "              envFrom: &storage",
        "              env: [{name: AWS_SECRET_ACCESS_KEY, value: abc}]\n              envFrom: &storage",
        "given in the open",
    ),
    (
        "kubernetes",
        f"{KUBERNETES}/rayjob.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "readOnlyRoot",
    ),
    ("kubernetes", f"{KUBERNETES}/rayjob.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "runs as root"),
    (
        "kubernetes",
        f"{KUBERNETES}/nightly-patch.yaml",
        "activeDeadlineSeconds",
        "activeDeadlineSecs",
        "activeDeadlineSecs",
    ),
    ("kubernetes", f"{KUBERNETES}/nightly-patch.yaml", "604800", "60", "workers go first"),
    ("kubernetes", f"{GPU}/gpu-group.yaml", "image: llmner", "imagee: llmner", "imagee"),
    ("kubernetes", f"{GPU}/gpu-group.yaml", "    replicas: 0", "    replicas: 17", "minReplicas <= replicas"),
    ("kubernetes", f"{GPU}/gpu-group.yaml", "operator: Exists", "operator: Exist", "toleration: operator 'Exist'"),
    ("kubernetes", f"{GPU}/gpu-group.yaml", "path: /spec/ray", "path: /spec/raj", "kustomize"),
    (
        "kubernetes",
        f"{GPU}/kustomization.yaml",
        "  - path: gpu-group.yaml\n    target:\n      kind: RayJob\n",
        "  - patch: |-\n      apiVersion: ray.io/v1\n      kind: RayJob\n      metadata: {name: llmner}\n"
        "      spec: {rayClusterSpec: {workerGroupSpecs: [{groupName: cpu, maxReplicas: 9}]}}\n",
        "'template' is a required property",
    ),
    ("kubernetes", "kubernetes/components/raycronjob/raycronjob.yaml", "15 2 * * *", "TZ=UTC 15 2 * * *", "time zone"),
    ("cloud", "cloud/terraform/main.tf", "bucket = var.bucket\n}", "bucket = var.bucket\n", "no HCL"),
    ("cloud", "cloud/terraform/main.tf", "var.region", "var.regoin", "variable regoin is used and not declared"),
    ("cloud", "cloud/terraform/main.tf", "var.keep_versions_days", "30", "keep_versions_days is declared and not used"),
    (
        "cloud",
        "cloud/terraform/outputs.tf",
        "aws_s3_bucket.data.id",
        "aws_s3_bucket.date.id",
        "aws_s3_bucket.date is referred",
    ),
    ("cloud", "cloud/terraform/main.tf", 'status = "Enabled"\n  }', 'status = "Disabled"\n  }', "CKV_AWS_21"),
    (
        "cloud",
        "cloud/terraform/main.tf",
        "block_public_policy     = true",
        "block_public_policy     = false",
        "CKV_AWS_54",
    ),
    ("cloud", "cloud/policy.json", "s3:GetObject", "s3:GetObjekt", "GetObjekt"),
    ("cloud", "cloud/policy.json", '["s3:ListBucket"]', '["s3:*"]', "more than is needed"),
    (
        "cloud",
        "cloud/policy.json",
        '["arn:aws:s3:::${bucket}"]',
        '["arn:aws:s3:::${bucket}/*"]',
        "No resources match for the given action",
    ),
    ("schedule", "schedule/crontab", "15 2 * * *", "15 26 * * *", "bad hour"),
    ("schedule", "schedule/llmner.service", "NoNewPrivileges=", "NoNewPrivilege=", "Unknown key 'NoNewPrivilege'"),
    (
        "schedule",
        "schedule/llmner.service",
        "ExecStart=/opt/llmner/bin/llmner",
        "ExecStart=/opt/llmner/bin/llama",
        "llama",
    ),
    ("schedule", "schedule/llmner.timer", "02:15:00 UTC", "02:75:00 UTC", "OnCalendar"),
    (
        "schedule",
        "schedule/llmner.service",
        "SystemCallFilter=@system-service\n",
        "User=root\nProtectSystem=no\n",
        "exposure",
    ),
    (
        "schedule",
        "schedule/airflow_dag.py",
        "from airflow.sdk import DAG",
        "from airflow.sdk import Dag",
        "cannot import",
    ),
    ("schedule", "schedule/airflow_dag.py", '"15 2 * * *"', '"15 26 * * *"', "airflow_dag.py"),
    ("schedule", "schedule/llmner.sbatch", '>"$run/token"', ">$run/token", "SC2086"),
    ("schedule", "schedule/llmner.sbatch", "#SBATCH --nodes=2", "#SBATCH --nodse=2", "--nodse is not known"),
    (
        "schedule",
        "schedule/llmner.sbatch",
        "set -euo pipefail\n",
        "set -euo pipefail\n#SBATCH --time=1:00:00\n",
        "passes over",
    ),
    ("schedule", f"{KUBERNETES}/nightly.sh", 'rayjob "$BASELINE"', "rayjob $BASELINE", "SC2086"),
    (
        "observability",
        "observability/rules.yml",
        "sum(ray_running_jobs) > 0 and sum(ch",
        "sum(ray_running_jobs > 0 and sum(ch",
        "rules",
    ),
    ("observability", "observability/rules.yml", "for: 15m", "for: 25h", "LlmnerStalled"),
    ("observability", "observability/rules.yml", " or vector(0)", "", "LlmnerNoRun"),
    (
        "observability",
        "observability/rules.yml",
        "max(ray_job_duration_s)",
        "max(ray_job_duration)",
        "no run shows ray_job_duration",
    ),
    ("observability", "observability/prometheus.yml", "scrape_interval", "scrape_intervall", "scrape_intervall"),
    ("observability", "observability/rules_test.yml", "eval_time: 21h", "eval_time: 1h", "LlmnerLockHeldLong"),
    ("observability", "observability/dashboard.json", '"schemaVersion": 39', '"schemaVersion": "39"', "TS2322"),
    ("observability", "observability/dashboard.json", '"gridPos"', '"gridPosition"', "gridPosition"),
    (
        "observability",
        "observability/dashboard.json",
        '"expr": "sum(ray_running',
        '"expr": "sum((ray_running',
        "no PromQL",
    ),
    (
        "observability",
        "observability/dashboard.json",
        "ray_node_mem_used{",
        "ray_node_memory_used{",
        "ray_node_memory_used",
    ),
]


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """A copy of the files, with the one overlay that all faults are planted in."""
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns("checks", "cpu", "small"))
    return copy


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "message"), FAULTS, ids=lambda value: value.split("\n")[0][:40]
)
def test_a_planted_fault_is_found(infra: Path, check: str, file: str, old: str, new: str, message: str) -> None:
    path = infra / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    found = problems(check, infra)
    assert any(message in problem for problem in found), found


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_fault_there_is_no_problem(infra: Path, check: str) -> None:
    assert problems(check, infra) == []


def test_a_missing_checker_is_a_problem(infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.checks.tools.HOME", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert all("is missing" in " ".join(problems(check, infra)) for check in ("container", "kubernetes", "schedule"))


def test_schemas_that_are_not_where_they_were_said_to_be(infra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.checks import ray_kinds

    ray_kinds.published_schema.cache_clear()
    monkeypatch.setenv("KUBERAY_SCHEMAS", "/nowhere")
    assert any("KUBERAY_SCHEMAS: there is no" in problem for problem in problems("kubernetes", infra))
    ray_kinds.published_schema.cache_clear()
