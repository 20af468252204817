"""nightly.sh with the real kubectl, against a small server that speaks the parts of Kubernetes' API that it needs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes_validate", reason="runs in the environment of the checkers: make infra-check")

from infra.checks.kubernetes import render

pytestmark = [pytest.mark.infra, pytest.mark.timeout(120)]

KUBERNETES = Path(__file__).resolve().parents[2] / "infra" / "kubernetes"
RESOURCES = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "ray.io",
                "versions": [{"groupVersion": "ray.io/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "ray.io/v1", "version": "v1"},
            }
        ],
    },
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis/ray.io/v1": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "ray.io/v1",
        "resources": [
            {
                "name": "rayjobs",
                "singularName": "rayjob",
                "namespaced": True,
                "kind": "RayJob",
                "verbs": ["get", "create"],
            }
        ],
    },
}
JOBS = "/apis/ray.io/v1/namespaces/default/rayjobs"
KIND = {"group": "ray.io", "version": "v1", "kind": "RayJob"}
# The server says that it validates fields itself, so that kubectl leaves it to it.
RESOURCES |= {
    "/openapi/v3": {"paths": {"apis/ray.io/v1": {"serverRelativeURL": "/openapi/v3/apis/ray.io/v1"}}},
    "/openapi/v3/apis/ray.io/v1": {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1"},
        "paths": {
            JOBS.replace("default", "{namespace}"): {
                verb: {
                    "x-kubernetes-action": verb,
                    "x-kubernetes-group-version-kind": KIND,
                    "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
                    "responses": {"200": {"description": "done"}},
                }
                for verb in ("patch", "post")
            }
        },
    },
}


class Api:
    """Holds the baseline's RayJob, and what is made beside it, which comes to the given end after a few looks."""

    def __init__(self, baseline: dict[str, Any] | None, end: dict[str, str]) -> None:
        self.objects = {"llmner": baseline} if baseline else {}
        self.end = end
        self.looks = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                name = path.rpartition("/")[2]
                if path in RESOURCES:
                    self._answer(200, RESOURCES[path])
                elif path.startswith(JOBS) and name in api.objects:
                    self._answer(200, api.look(name))
                else:
                    self._answer(
                        404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "message": path, "code": 404}
                    )

            def do_POST(self) -> None:
                made = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                made["metadata"]["name"] = made["metadata"]["generateName"] + "abcde"
                api.objects[made["metadata"]["name"]] = made
                self._answer(201, made)

            def _answer(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def look(self, name: str) -> dict[str, Any]:
        if name != "llmner":
            self.looks += 1
            if self.looks > 2:
                self.objects[name]["status"] = self.end
        return self.objects[name]


@pytest.fixture
def baseline() -> dict[str, Any]:
    """The RayJob as a server returns it, with what it adds."""
    (job,) = (o for o in render(KUBERNETES / "overlays" / "small") if o["kind"] == "RayJob")
    job["metadata"] |= {"namespace": "default", "uid": "1", "resourceVersion": "5", "generation": 2}
    job["metadata"] |= {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
    job["status"] = {"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"}
    return job


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Api]]:
    apis: list[Api] = []
    yield apis
    for api in apis:
        api.server.shutdown()


def nightly(api: Api, folder: Path) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{api.server.server_port}"
    (folder / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
            }
        )
    )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "BASELINE": "llmner",
        "PATCH": str(KUBERNETES / "base" / "nightly-patch.yaml"),
        "POLL_SECONDS": "0.1",
    }
    script = ["bash", str(KUBERNETES / "base" / "nightly.sh")]
    return subprocess.run(script, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, 0),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "FAILED"}, 1),
        ({"jobDeploymentStatus": "Failed", "jobStatus": ""}, 1),
    ],
)
def test_a_night_is_made_from_the_baseline_and_waited_for(
    baseline: dict[str, Any], started: list[Api], tmp_path: Path, end: dict[str, str], code: int
) -> None:
    api = Api(baseline, end)
    started.append(api)
    done = nightly(api, tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    made = api.objects["llmner-nightly-abcde"]
    assert made["metadata"].keys() == {"name", "generateName", "namespace"}
    assert made["spec"]["rayClusterSpec"] == baseline["spec"]["rayClusterSpec"]
    assert made["spec"]["entrypoint"] != baseline["spec"]["entrypoint"]
    assert any(rule["policy"] == "DeleteSelf" for rule in made["spec"]["deletionStrategy"]["deletionRules"])


def test_without_a_baseline_the_night_fails(started: list[Api], tmp_path: Path) -> None:
    api = Api(None, {})
    started.append(api)
    done = nightly(api, tmp_path)
    assert done.returncode != 0
    assert api.objects == {}
