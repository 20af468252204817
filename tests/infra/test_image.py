"""The image, built by buildah on a stand-in for its base made of Debian's packages, and listed as an SBOM.

What a registry of images would add stays untried: the real base, its size, and a GPU.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTAINER = ROOT / "infra" / "container"
BASE = "docker.io/library/python:3.11.14-slim-bookworm"
PACKAGES = "python3-minimal,python3-venv,python3-pip,ca-certificates"
SYFT = shutil.which("syft", path=str(Path(sys.executable).parent))

pytestmark = [
    pytest.mark.infra,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah's chroot isolation needs root"),
    pytest.mark.skipif(
        not (SYFT and shutil.which("buildah") and shutil.which("mmdebstrap")),
        reason="needs buildah, mmdebstrap and syft: make image-check",
    ),
]


def buildah(storage: Path, *arguments: str) -> str:
    places = ["--root", str(storage / "root"), "--runroot", str(storage / "run")]
    environment = {**os.environ, "STORAGE_DRIVER": "vfs"}
    command = ["buildah", *places, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()


def pip_settings() -> list[str]:
    """What pip is told on this machine, for the pip in the build."""
    told = {key: value for key, value in os.environ.items() if key in ("PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL")}
    folders = {"/etc/ssl/certs", *(v for v in told.values() if Path(v).is_dir())}
    volumes = [f"--volume={folder}:{folder}:ro" for folder in sorted(folders)]
    return [*volumes, *(f"--env={key}={value}" for key, value in told.items())]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where buildah keeps the image ``llmner:cpu``."""
    storage = tmp_path_factory.mktemp("images")
    base = storage / "base.tar"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(base)], check=True
    )
    container = buildah(storage, "from", "scratch")
    buildah(storage, "add", "--quiet", container, str(base), "/")
    buildah(storage, "commit", "--quiet", "--rm", container, BASE)
    options = ["--isolation=chroot", "--format=docker", "--pull-never", "--target=cpu", *pip_settings()]
    files = [f"--ignorefile={CONTAINER / 'Dockerfile.dockerignore'}", f"--file={CONTAINER / 'Dockerfile'}"]
    buildah(storage, "build", *options, *files, "--tag=llmner:cpu", str(ROOT))
    yield storage
    shutil.rmtree(storage)


def run(storage: Path, *command: str) -> str:
    container = buildah(storage, "from", "--pull-never", "llmner:cpu")
    return buildah(storage, "run", "--isolation=chroot", container, "--", *command)


def test_it_starts_the_command_line_as_a_user_without_rights(image: Path) -> None:
    described = json.loads(buildah(image, "inspect", "--type=image", "llmner:cpu"))["OCIv1"]["config"]
    assert described["User"] == "1000:1000"
    assert described["Entrypoint"] == ["llmner"]
    assert described["Volumes"] == {"/var/cache/llmner": {}}
    assert "extract" in run(image, *described["Entrypoint"], *described["Cmd"])
    assert "2.60.0" in run(image, "ray", "--version")
    assert run(image, "sh", "-c", "id -u; touch /var/cache/llmner/x && echo kept") == "1000\nkept"
    assert run(image, "sh", "-c", "touch /opt/llmner/x 2>/dev/null || echo refused") == "refused"


def test_its_parts_are_listed(image: Path) -> None:
    archive = image / "image.tar"
    buildah(image, "push", "--quiet", "llmner:cpu", f"oci-archive:{archive}")
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    listed = subprocess.run(
        [str(SYFT), "scan", f"oci-archive:{archive}", "--output=cyclonedx-json", "--quiet"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    parts = {part["name"]: part.get("version") for part in json.loads(listed.stdout)["components"]}
    assert parts["ray"] == "2.60.0"
    assert {"torch", "transformers", "llmner", "wget"} <= parts.keys()
    assert "pytest" not in parts
