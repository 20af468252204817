"""The Slurm script with Ray's real `symmetric-run` on a host of its own; only Slurm's two commands are stand-ins."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Network, missing
from ray_cluster import ROOT

reason = missing()
pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.skipif(bool(reason), reason=reason)]

COMMANDS = {
    "srun": 'while [[ $1 == --* ]]; do shift; done; "$@"',
    "scontrol": "echo 127.0.0.1",
    "llmner": 'echo "llmner $* at $RAY_ADDRESS with $(stat -c %a "$RAY_AUTH_TOKEN_PATH")"; exit 3',
}


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    yield network
    network.close()


@pytest.mark.parametrize(("cpus", "code", "said"), [("2", 3, "llmner extract --config"), ("many", 1, "was never run")])
def test_the_exit_code_is_that_of_the_command(
    network: Network, tmp_path: Path, cpus: str, code: int, said: str
) -> None:
    programs = tmp_path / "home" / "bin"
    programs.mkdir(parents=True)
    for name, script in COMMANDS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (programs / name).chmod(0o755)
    (programs / "ray").symlink_to(shutil.which("ray", path=str(Path(sys.executable).parent)))
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LLMNER_HOME": str(tmp_path / "home"),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_CPUS_PER_TASK": cpus,
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    host = network.host("node", environment)
    host.boot(str(ROOT / "infra" / "schedule" / "llmner.sbatch"), str(tmp_path / "job.yaml"))
    ended = host.wait(300)
    log = host.log.read_text(errors="replace")
    assert ended == code, log[-3000:]
    assert said in log
    if code == 3:
        assert "at 127.0.0.1:20007 with 600" in log
    assert not list(tmp_path.glob(".llmner-*"))  # the token is gone
