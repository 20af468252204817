"""Where weights lie, as one string: a folder, a Hugging Face repository at a commit, or an installed package.

A reference is a path, ``org/name`` or ``org/name@revision``, or ``package:name``. All that loads weights is given a
folder; only this module knows the other kinds.

Invariant: a pinned reference names the same weights whenever it is used; nothing is fetched but JSON, tokenizer files
and safetensors, so nothing from a repository is unpickled or run.
"""

import hashlib
import re
from pathlib import Path

from llmner.errors import ModelError
from llmner.models import packaged

_PACKAGED = f"package:{packaged.PACKAGE}"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SETTINGS = ("*.json",)
_EVERYTHING = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
_SHAPE_ANSWERS = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")  # weights and tokenizers, in a folder


def pinned(reference: str) -> str:
    """Resolve the revision of a repository to its commit; other references stay as they are.

    Raises:
        ModelError: There is no such folder or repository.
    """
    if reference == _PACKAGED or Path(reference).is_dir():
        return reference
    name, _, revision = reference.partition("@")
    return reference if _COMMIT.fullmatch(revision) else f"{name}@{described(reference).name}"


def described(reference: str) -> Path:
    """Return a folder that holds at least the JSON files, which for a repository is much less than its weights.

    Raises:
        ModelError: There is no such folder or repository.
    """
    return _folder(reference, _SETTINGS)


def fetched(reference: str, *, dtype: str = "float32") -> Path:
    """Return the folder with the weights, fetching or preparing them at the first call.

    Args:
        reference: See the module.
        dtype: Number type that a packaged base is prepared in; others are as they were published.

    Raises:
        ModelError: There is no such folder or repository, or a package is missing or damaged.
    """
    return packaged.prepare(dtype) if reference == _PACKAGED else _folder(reference, _EVERYTHING)


def identity(reference: str) -> str:
    """Return what tells these weights from others: a digest, or the repository with its commit."""
    if reference == _PACKAGED:
        return f"gguf sha256 {packaged.GGUF_SHA256}"
    folder = Path(reference)
    if not folder.is_dir():
        return pinned(reference)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in _SHAPE_ANSWERS:
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256 {digest.hexdigest()}"


def _folder(reference: str, patterns: tuple[str, ...]) -> Path:
    if Path(reference).is_dir():
        return Path(reference)
    from huggingface_hub import snapshot_download

    name, _, revision = reference.partition("@")
    try:
        found = snapshot_download(
            name, revision=revision or None, allow_patterns=list(patterns), ignore_patterns=["*/*"]
        )
    except (OSError, ValueError) as e:
        raise ModelError(
            f"model {reference!r} cannot be loaded: neither a folder, nor a repository that can be reached: {e}",
            hint="give a named model, a folder with safetensors or a Hugging Face id",
        ) from e
    return Path(found)
