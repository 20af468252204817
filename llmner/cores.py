"""How many cores this process may use: what its affinity, and the quota of its container, leave of the machine's."""

import math
import os
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores(cgroups: Path = _CGROUPS) -> int:
    """Return the cores that this process may use, at least one.

    Args:
        cgroups: Where the quotas of containers are to be seen.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(cgroups))]))


def _quotas(cgroups: Path) -> list[float]:
    """Return the quotas in cores of the control groups that this process is in, as versions 2 and 1 write them."""
    found = []
    for folder in _own_folders(cgroups):
        try:
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
        if quota != "max":
            found.append(int(quota) / int(period))
    try:
        quota, period = ((cgroups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
    except OSError:
        return found
    return [*found, int(quota) / int(period)] if int(quota) > 0 else found


def _own_folders(cgroups: Path) -> list[Path]:
    """Return the folder of this process's control group and those above it."""
    try:
        line = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()[-1]
    except (OSError, IndexError):
        return [cgroups]
    own = cgroups / PurePosixPath(line.rpartition(":")[2].lstrip("/"))
    return [folder for folder in (own, *own.parents) if folder.is_relative_to(cgroups)]
