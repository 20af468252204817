"""Schedules and scripts: cron, systemd, Airflow, Slurm, each by the program that will read the file."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.checks.tools import HOME, run, said

DAGS = {"llmner_nightly"}
COMMAND = "/opt/llmner/bin/llmner"
# Options that sbatch knows and that this project uses.
SBATCH = {
    "job-name",
    "nodes",
    "ntasks-per-node",
    "cpus-per-task",
    "gpus-per-task",
    "time",
    "output",
    "open-mode",
    "requeue",
}
EXPOSURE = "40"  # of 100, as systemd counts it; higher is worse

# Written for the interpreter of Airflow's own environment.
DAG_BAG = """
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
for file, error in bag.import_errors.items():
    print(f"PROBLEM {error.strip().splitlines()[-1]}")
print("DAGS", *bag.dag_ids)
"""


def check(infra: Path) -> Iterator[str]:
    """Yield the problems of the files in ``schedule``, and of every shell script."""
    folder = infra / "schedule"
    for script in sorted((*infra.rglob("*.sh"), *infra.rglob("*.sbatch"))):
        yield from said(run("shellcheck", "--format", "gcc", script))
    yield from _crontab(folder / "crontab")
    yield from _systemd(folder)
    yield from _airflow(folder / "airflow_dag.py")
    yield from _slurm(folder / "llmner.sbatch")


def _crontab(path: Path) -> Iterator[str]:
    done = run("crontab", "-n", path)
    if done.returncode:
        yield from (f"{path.name}: {line}" for line in said(done) if "spool" not in line)


def _systemd(folder: Path) -> Iterator[str]:
    units = sorted((*folder.glob("*.service"), *folder.glob("*.timer")))
    # An unknown key is no more than a message to it. Our command need not be installed where the files are checked.
    lines = run("systemd-analyze", "verify", *units).stderr.splitlines()
    yield from (f"systemd: {line}" for line in lines if f"Command {COMMAND} is not executable" not in line)
    for timer in folder.glob("*.timer"):
        for calendar in re.findall(r"^OnCalendar=(.*)$", timer.read_text(encoding="utf-8"), re.MULTILINE):
            done = run("systemd-analyze", "calendar", calendar)
            if done.returncode:
                yield f"{timer.name}: OnCalendar={calendar}: {done.stderr.strip()}"
        if not (folder / f"{timer.stem}.service").exists():
            yield f"{timer.name}: there is no {timer.stem}.service"
    for service in folder.glob("*.service"):
        done = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", service)
        if done.returncode:
            yield f"{service.name}: {said(done)[-1]}"


def _airflow(path: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        environment = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        done = run(str(HOME / "airflow" / "bin" / "python"), "-c", DAG_BAG, path, environment=environment)
    lines = done.stdout.splitlines()
    yield from (f"{path.name}: {line.removeprefix('PROBLEM ')}" for line in lines if line.startswith("PROBLEM"))
    found = next((line.split()[1:] for line in lines if line.startswith("DAGS")), None)
    if found is None:
        yield f"{path.name}: Airflow could not read it: {said(done)[-1:]}"
    elif missing := sorted(DAGS - set(found)):
        yield f"{path.name}: no DAG {', '.join(missing)}"


def _slurm(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for option in re.findall(r"^#SBATCH +--([a-z-]+)", text, re.MULTILINE):
        if option not in SBATCH:
            yield f"{path.name}: #SBATCH --{option} is not known here"
    if strange := [line for line in text.splitlines() if re.match(r"#\s*SBATCH(?! --[a-z])|#\s+SBATCH", line)]:
        yield f"{path.name}: sbatch passes over {strange[0]!r}"
    # It reads its options up to the first command.
    commands = [i for i, line in enumerate(text.splitlines()) if line and not line.startswith("#")]
    late = [line for line in text.splitlines()[commands[0] :] if line.startswith("#SBATCH")]
    if late:
        yield f"{path.name}: sbatch passes over {late[0]!r}, for it comes after the first command"
