"""Hosts on a network of their own, on this machine: each a network namespace on one switch, with its own processes.

The switch lies in a namespace, too, so no address of it is seen outside. A host that is cut off dies with all that runs
on it, as a machine does. Needs root, ``ip`` and ``unshare``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

NETWORK = "10.99.7"
TEMPORARY = "/tmp/llmner-hosts"  # short, for a socket's path has at most 107 bytes; each host has its own there

# The shell stays as the first process and takes up those whose parents died; without it `ray stop` waits for them.
BOOT = f"""
hostname "$0"
mkdir -p {TEMPORARY} && mount -t tmpfs tmpfs {TEMPORARY} && mount -t tmpfs -o size=1g tmpfs /dev/shm
"$@" & wait $!
"""


def missing() -> str:
    """What keeps this machine from having such hosts; empty where nothing does."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    programs = [p for p in ("ip", "unshare") if shutil.which(p) is None]
    if programs:
        return f"not installed: {', '.join(programs)}"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.decode().strip()}"


class Network:
    """A switch, and hosts on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"llmner{os.getpid()}"
        self._count = 0
        self._namespaces = [f"{self._name}-switch"]
        self.hosts: list[Host] = []
        _ip("netns", "add", self._namespaces[0])
        _ip("-n", self._namespaces[0], "link", "add", "br0", "type", "bridge")
        _ip("-n", self._namespaces[0], "link", "set", "br0", "up")

    def host(self, name: str, environment: Mapping[str, str]) -> "Host":
        """A new host with an address of its own."""
        self._count += 1
        switch, namespace, port = self._namespaces[0], f"{self._name}-{self._count}", f"v{self._count}"
        address = f"{NETWORK}.{self._count}"
        self._namespaces.append(namespace)
        _ip("netns", "add", namespace)
        _ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch)
        _ip("-n", switch, "link", "set", port, "master", "br0", "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", link, "up")
        log = self._folder / f"{self._count}-{name}.log"
        self.hosts.append(Host(name, namespace, address, {"PATH": os.environ["PATH"], **environment}, log))
        return self.hosts[-1]

    def close(self) -> None:
        """End all hosts, and the network."""
        for host in self.hosts:
            host.cut_off()
        for namespace in self._namespaces:
            _ip("netns", "delete", namespace)


class Host:
    """One host; what is started on it runs in one space of processes, and ends with it."""

    def __init__(self, name: str, namespace: str, address: str, environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.address = address
        self.log = log
        self._namespace = namespace
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self, *command: str) -> None:
        """Start the host's one service."""
        isolated = ["unshare", "--mount", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child=KILL"]
        whole = ["ip", "netns", "exec", self._namespace, *isolated, "bash", "-c", BOOT, self.name, *command]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                whole, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self, seconds: float) -> int:
        """Wait for the end of its service; the exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def cut_off(self) -> None:
        """The power goes."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def run(self, *command: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program on this host's network, with what it says."""
        return subprocess.run(
            ["ip", "netns", "exec", self._namespace, *command],
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a program on this host's network."""
        with log.open("wb") as output:
            whole = ["ip", "netns", "exec", self._namespace, *command]
            return subprocess.Popen(whole, env=self._environment, stdout=output, stderr=output)

    def python(self, code: str, *arguments: str) -> str:
        """What a piece of Python prints on this host's network."""
        done = self.run(sys.executable, "-c", code, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def get(self, url: str, token: str = "") -> tuple[int, str]:
        """Status and content of a page; status 0 where nobody answers."""
        status, content = json.loads(self.python(FETCH, url, token))
        return status, content


FETCH = """
import json, sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": f"Bearer {sys.argv[2]}"} if sys.argv[2] else {})
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as e:
    print(json.dumps([e.code, ""]))
except OSError:
    print(json.dumps([0, ""]))
"""


def wait_until(what: str, holds, logs: Sequence[Path] = (), seconds: float = 240) -> None:
    """Wait until something holds, or fail with the ends of logs."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            tails = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)
            raise AssertionError(f"waited {seconds:.0f} s in vain until {what}\n{tails}")
        time.sleep(1)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
