"""The folder of prepared models on this machine.

Invariant: a prepared folder either does not exist or is complete; of processes that prepare the same one together, the
first rename wins and all use its files.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """Return where prepared models are kept: ``LLMNER_CACHE``, or ``llmner`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmner"
    return Path(os.environ.get("LLMNER_CACHE") or default)


def prepared(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, which the first call makes.

    Args:
        name: The folder's name; different content needs a different name.
        make: Writes the content into an empty folder.
    """
    folder = cache_root() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        make(work)
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
