"""Storage by URL: one way to a file system, for the driver and for Ray's workers alike.

Invariant: everything that reads or writes a data set gets its file system here, from a URL and the process's
environment (for S3: ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``...); no credential is ever
passed around or stored. What is written whole is seen whole or not at all.
"""

import errno
import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import fsspec
import pyarrow.fs
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem

from llmner.errors import STORAGE_FAILED, AccessError, StorageError


def absolute_url(url: str) -> str:
    """The URL itself, or the absolute path of a local one, so that it means the same in every process."""
    protocol, path = split_protocol(url)
    return os.path.abspath(os.path.expanduser(path)) if protocol in (None, "file", "local") else url.rstrip("/")


def file_system(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a URL and the URL's path in it.

    Listings are not cached: other processes write to the same place.

    Raises:
        AccessError: A protocol that nothing here speaks.
    """
    try:
        return fsspec.url_to_fs(absolute_url(url), use_listings_cache=False)
    except (ValueError, ImportError) as e:
        raise AccessError(f"{url}: no such kind of storage: {e}", hint="install the fsspec driver for it") from e


def arrow_file_system(url: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The same for pyarrow and Ray Data."""
    fs, path = file_system(url)
    if isinstance(fs, LocalFileSystem):
        return pyarrow.fs.LocalFileSystem(), path
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path


def join(url: str, *parts: str) -> str:
    """A URL below another one."""
    return posixpath.join(url, *parts)


@contextmanager
def access(url: str) -> Iterator[None]:
    """Turn what storage drivers raise into an error that names the URL and says what to do.

    Raises:
        AccessError: No permission, no such bucket, wrong credentials.
        StorageError: Any other failure; trying again may help.
    """
    try:
        yield
    except FileNotFoundError as e:
        raise AccessError(f"{url}: no such bucket or folder: {e}", hint="create it, or correct the URL") from e
    except PermissionError as e:
        raise AccessError(f"{url}: no permission: {e}", hint="check credentials and access rights") from e
    except OSError as e:
        if e.errno in (errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENOSPC):
            raise AccessError(f"{url}: cannot be written: {e}", hint="choose another place") from e
        raise StorageError(f"{url}: {STORAGE_FAILED}: {e}", hint="run the same command again") from e
    except Exception as e:
        # The errors of these share no base class with Python's own; all others pass.
        if type(e).__module__.partition(".")[0] not in ("botocore", "aiobotocore", "aiohttp"):
            raise
        if "redential" in type(e).__name__:
            raise AccessError(f"{url}: {e}", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from e
        raise StorageError(f"{url}: {STORAGE_FAILED}: {e}", hint="run the same command again") from e


def write_whole(url: str, content: bytes) -> None:
    """Write a small file; readers see the old content or the new, never a part."""
    fs, path = file_system(url)
    if isinstance(fs, LocalFileSystem):
        fs.makedirs(posixpath.dirname(path), exist_ok=True)
        part = f"{path}.{uuid.uuid4().hex}.part"
        fs.pipe_file(part, content)
        os.replace(part, path)
    else:
        fs.pipe_file(path, content)


def write_new(url: str, content: bytes) -> bool:
    """Create a file that must not exist yet; of several writers exactly one gets True."""
    fs, path = file_system(url)
    try:
        if isinstance(fs, LocalFileSystem):
            fs.makedirs(posixpath.dirname(path), exist_ok=True)
            part = f"{path}.{uuid.uuid4().hex}.part"
            fs.pipe_file(part, content)
            try:
                os.link(part, path)  # unlike rename it refuses to replace
            finally:
                os.unlink(part)
        else:
            fs.pipe_file(path, content, mode="create")
    except FileExistsError:
        return False
    return True


def read_bytes(url: str) -> bytes | None:
    """Content of a file; None where there is none."""
    fs, path = file_system(url)
    try:
        return fs.cat_file(path)
    except FileNotFoundError:
        return None


def list_names(url: str, suffix: str = "") -> list[str]:
    """Sorted names of the files right below a URL; none where there is no such folder."""
    return [name for name in _entries(url, "file") if name.endswith(suffix)]


def list_folders(url: str) -> list[str]:
    """Sorted names of the folders right below a URL; none where there is no such folder."""
    return _entries(url, "directory")


def _entries(url: str, kind: str) -> list[str]:
    fs, path = file_system(url)
    try:
        entries = fs.ls(path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = (e["name"].rstrip("/") for e in entries if e["type"] == kind)
    return sorted(posixpath.basename(name) for name in names if name != path.rstrip("/"))


def remove(url: str) -> None:
    """Delete a file or a folder with all below it; nothing happens where there is none."""
    fs, path = file_system(url)
    try:
        fs.rm(path, recursive=True)
    except FileNotFoundError:
        return


@contextmanager
def write_stream(url: str) -> Iterator[IO[bytes]]:
    """Open a file for writing in pieces; its folder is made where there is none."""
    fs, path = file_system(url)
    with access(url):
        fs.makedirs(posixpath.dirname(path), exist_ok=True)
        with fs.open(path, "wb") as stream:
            yield stream


def move(url: str, to: str) -> None:
    """Give a file another name in the same storage; what had that name is replaced."""
    fs, path = file_system(url)
    fs.mv(path, file_system(to)[1])
