"""Run all checks and show what they find: ``python -m infra.checks [FOLDER]`` ends with 1 where there are problems."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.checks import cloud, container, formats, kubernetes, observability, ray_kinds, schedule
from infra.checks.tools import ProblemError

CHECKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "formats": formats.check,
    "container": container.check,
    "kubernetes": kubernetes.check,
    "cloud": cloud.check,
    "schedule": schedule.check,
    "observability": observability.check,
}


def problems(name: str, infra: Path) -> list[str]:
    """Return the problems that one check finds; that it cannot go on is one, too."""
    found: list[str] = []
    try:
        found.extend(CHECKS[name](infra))
    except ProblemError as e:
        found.append(str(e))
    return found


def main() -> int:
    """Check the folder given, or ``infra`` here."""
    infra = Path(sys.argv[1] if len(sys.argv) > 1 else "infra").resolve()
    console = Console()
    table = Table("check", "problems", "seconds")
    total = 0
    for name in CHECKS:
        started = time.monotonic()
        found = problems(name, infra)
        for problem in found:
            console.print(f"{name}: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
        total += len(found)
        table.add_row(name, str(len(found)), f"{time.monotonic() - started:.1f}")
    console.print(table)
    if ray_kinds.published_schema("RayJob") is None:
        console.print(
            "KubeRay's own schema was not at hand (KUBERAY_SCHEMAS, or a cluster): its kinds were held only against "
            "the fields and rules that are written down here.",
            style="yellow",
        )
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
