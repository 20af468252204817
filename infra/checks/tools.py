"""The programs that the checks call: those installed for them, beside the running interpreter, before the system's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HOME = Path(sys.prefix)  # where install.sh has put them
SECONDS = 300


class ProblemError(Exception):
    """A problem behind which nothing more can be checked."""


def run(
    program: str, *arguments: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said; many report on standard error, so callers look at that, too.

    Raises:
        ProblemError: There is no such program.
    """
    found = shutil.which(program, path=f"{HOME / 'bin'}:{os.environ['PATH']}")
    if found is None:
        raise ProblemError(f"{program} is missing: infra/checks/install.sh installs it, or a package of the system")
    command = [found, *map(str, arguments)]
    variables = {**os.environ, "NO_COLOR": "1", **(environment or {})}
    return subprocess.run(
        command, input=stdin, env=variables, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines that a program wrote."""
    return [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
