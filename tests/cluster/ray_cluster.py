"""A Ray cluster over the hosts: a head, workers, an S3 server, and a host from which jobs are submitted."""

import json
import sys
from pathlib import Path
from subprocess import Popen

from hosts import TEMPORARY, Host, Network, wait_until

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]
S3_PORT = 5000
GENERATORS = {"num-gpus": "1"}  # no card is there, and none is asked
SELECTORS = {"resources": '{"accelerator_type:T4": 1}'}
# A lost node is missed after some seconds, and a busy one is not.
PATIENCE = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "10000",
    "RAY_health_check_failure_threshold": "5",
}


class RayCluster:
    """Hosts with Ray on them.

    Args:
        network: Where the hosts are.
        folder: For what the client's home holds, and logs.
        token: The cluster's token; without one authentication is off, and every command says so.
    """

    def __init__(self, network: Network, folder: Path, token: str = "") -> None:
        self.token = token
        self._network = network
        home = folder / "home"
        home.mkdir()
        self._environment = {"HOME": str(home), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **PATIENCE}
        self._environment |= {
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "RAY_AUTH_MODE": "token" if token else "disabled",
        }
        if token:
            (folder / "token").write_text(token)
            self._environment["RAY_AUTH_TOKEN_PATH"] = str(folder / "token")
        storage = network.host("storage", self._environment)
        self._environment |= {
            "AWS_ENDPOINT_URL": f"http://{storage.address}:{S3_PORT}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "tester",
        }
        storage.boot(str(BIN / "moto_server"), "-H", storage.address, "-p", str(S3_PORT))
        self.client = network.host("client", self._environment)
        wait_until(
            "the S3 server answers", lambda: self.client.get(self._environment["AWS_ENDPOINT_URL"])[0], [storage.log]
        )
        self.head = self.start_head("head")

    @property
    def url(self) -> str:
        """The address for jobs."""
        return f"http://{self.head.address}:8265"

    def start_head(self, name: str) -> Host:
        """A head on a new host."""
        self.head = head = self._network.host(name, self._environment)
        options = {"port": "6379", "dashboard-host": head.address, "num-cpus": "4", "temp-dir": TEMPORARY}
        head.boot(*self._start(head, options), "--head")
        wait_until("the head answers", lambda: self.nodes() is not None, [head.log])
        return head

    def start_worker(self, name: str, options: dict[str, str]) -> Host:
        """A worker on a new host, once the head knows it."""
        before = self.nodes() or []
        worker = self._network.host(name, self._environment)
        worker.boot(*self._start(worker, {"address": f"{self.head.address}:6379", "num-cpus": "4", **options}))
        wait_until(f"{name} has joined", lambda: worker.address in (self.nodes() or []), [worker.log, self.head.log])
        assert worker.address not in before
        return worker

    def _start(self, host: Host, options: dict[str, str]) -> list[str]:
        fixed = {"node-ip-address": host.address, "metrics-export-port": "8080"}
        fixed |= {"object-store-memory": "100000000", "memory": "4000000000"}
        given = [f"--{key}={value}" for key, value in (fixed | options).items()]
        return [str(BIN / "ray"), "start", "--block", "--disable-usage-stats", *given]

    def nodes(self) -> list[str] | None:
        """The addresses of the living nodes; None where the head does not answer."""
        status, content = self.client.get(f"{self.url}/api/v0/nodes?detail=0", self.token)
        if status != 200:
            return None
        return [n["node_ip"] for n in json.loads(content)["data"]["result"]["result"] if n["state"] == "ALIVE"]

    def actors(self, stage: str) -> set[str]:
        """The addresses of the nodes on which workers of a stage live."""
        _, content = self.client.get(f"{self.url}/api/v0/actors?detail=1", self.token)
        rows = json.loads(content)["data"]["result"]["result"]
        return {a["address"]["ip_address"] for a in rows if stage in a["class_name"] and a["state"] == "ALIVE"}

    def submit(self, folder: Path, log: Path, *command: str) -> Popen[bytes]:
        """Submit a job from the client's host, and follow it."""
        submit = [str(BIN / "ray"), "job", "submit", "--address", self.url, "--working-dir", str(folder), "--"]
        return self.client.start(*submit, sys.executable, *command, log=log)
