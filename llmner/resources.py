"""Where the files that come with the package are: beside it in a checkout, inside it in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Return the path of ``configs/<name>``; it need not exist.

    Args:
        name: Path relative to ``configs``, e.g. ``tagsets/bc5cdr.yaml``.
    """
    installed = _PACKAGE / "configs"
    return (installed if installed.is_dir() else _PACKAGE.parent / "configs") / name
