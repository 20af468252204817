"""Storage by URI: one way to a file system, for the driver and for Ray's workers alike.

Invariant: everything that reads or writes a data set gets its file system here, from a URI and the process's
environment (for S3: ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``...); no credential is ever
passed around or stored. What is written whole is seen whole or not at all.
"""

import errno
import os
import posixpath
import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from typing import IO, Any

import fsspec
import pyarrow.fs
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem

from llmner.errors import STORAGE_FAILED, AccessError, StorageError

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})  # protocols of storage without folders
_DELETIONS = 16  # requests at a time
_CREDENTIALS = (
    re.compile(r"(://)[^/?#@]+(?=@)"),  # user:password@
    re.compile(r"([?&](?:[^=&#]*(?:signature|credential|token|secret|password|access_?key)[^=&#]*|sig)=)[^&#]+", re.I),
)


def absolute_uri(uri: str) -> str:
    """Return the URI itself, or the absolute path of a local one, so that it means the same in every process."""
    protocol, path = split_protocol(uri)
    return os.path.abspath(os.path.expanduser(path)) if protocol in (None, "file", "local") else uri.rstrip("/")


def file_system(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of a URI and the URI's path in it.

    Listings are not cached: other processes write to the same place.

    Raises:
        AccessError: A protocol that nothing here speaks, or a URI with credentials in it.
    """
    if (safe := _redacted(uri)) != uri:
        # A URI goes into documents, manifests, logs and tasks; what is in it is told to all who read them.
        hint = "give them by environment variables or a file of the driver's, e.g. AWS_ACCESS_KEY_ID, ~/.netrc"
        raise AccessError(f"{safe}: there are credentials in the URI", hint=hint)
    try:
        return fsspec.url_to_fs(absolute_uri(uri), use_listings_cache=False)
    except (ValueError, ImportError) as e:
        raise AccessError(f"{uri}: no such kind of storage: {e}", hint="install the fsspec driver for it") from e


def _redacted(uri: str) -> str:
    """Return a URI with what is secret in it starred out."""
    if "://" in uri:
        for secret in _CREDENTIALS:
            uri = secret.sub(r"\1***", uri)
    return uri


def arrow_file_system(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Return the same for pyarrow and Ray Data."""
    fs, path = file_system(uri)
    if isinstance(fs, LocalFileSystem):
        return pyarrow.fs.LocalFileSystem(), path
    return pyarrow.fs.PyFileSystem(_LiteralPaths(fs)), path


class _LiteralPaths(pyarrow.fs.FSSpecHandler):
    """Moves and deletes what a path names; fsspec would take ``[``, ``*`` and ``?`` in it for a pattern."""

    def create_dir(self, path: str, recursive: bool) -> None:
        _make_folder(self.fs, path)

    def move(self, src: str, dest: str) -> None:
        self.fs.cp_file(src, dest)
        self.fs.rm_file(src)

    def copy_file(self, src: str, dest: str) -> None:
        self.fs.cp_file(src, dest)

    def delete_file(self, path: str) -> None:
        self.fs.rm_file(path)

    def delete_dir(self, path: str) -> None:
        _remove_tree(self.fs, path)


def _make_folder(fs: fsspec.AbstractFileSystem, path: str) -> None:
    """Make a folder where storage has folders.

    An object store has none: asked for one, its driver looks for the bucket and makes it where it finds none, or where
    it has no right to look.
    """
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if not protocols & _OBJECT_STORES:
        fs.makedirs(path, exist_ok=True)


def join(uri: str, *parts: str) -> str:
    """Return a URI below another one."""
    return posixpath.join(uri, *parts)


@contextmanager
def access(uri: str) -> Iterator[None]:
    """Turn what storage drivers raise into an error that names the URI and says what to do.

    Raises:
        AccessError: No permission, no such bucket, wrong credentials.
        StorageError: Any other failure; trying again may help.
    """
    try:
        yield
    except FileNotFoundError as e:
        raise AccessError(f"{uri}: no such bucket or folder: {e}", hint="create it, or correct the URI") from e
    except PermissionError as e:
        raise AccessError(f"{uri}: no permission: {e}", hint="check credentials and access rights") from e
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AccessError(f"{uri}: the disk is full: {e}", hint="make room; what is done stays") from e
        if e.errno in (errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            raise AccessError(f"{uri}: cannot be written: {e}", hint="choose another place") from e
        raise StorageError(f"{uri}: {STORAGE_FAILED}: {e}", hint="run the same command again") from e
    except Exception as e:
        # The errors of these share no base class with Python's own; all others pass.
        if type(e).__module__.partition(".")[0] not in ("botocore", "aiobotocore", "aiohttp"):
            raise
        if getattr(e, "status", None) in (401, 403):
            raise AccessError(f"{uri}: no permission: {e}", hint="check credentials and access rights") from e
        if "redential" in type(e).__name__:
            raise AccessError(f"{uri}: {e}", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from e
        raise StorageError(f"{uri}: {STORAGE_FAILED}: {e}", hint="run the same command again") from e


def write_whole(uri: str, content: bytes) -> None:
    """Write a small file; readers see the old content or the new, never a part.

    Raises:
        AccessError, StorageError: As ``access``; so do all functions below.
    """
    with access(uri):
        fs, path = file_system(uri)
        if isinstance(fs, LocalFileSystem):
            os.replace(_part(fs, path, content), path)
        else:
            fs.pipe_file(path, content)


def write_new(uri: str, content: bytes) -> bool:
    """Create a file that must not exist yet; of writers of different contents exactly one gets True."""
    with access(uri):
        fs, path = file_system(uri)
        try:
            if isinstance(fs, LocalFileSystem):
                part = _part(fs, path, content)
                try:
                    os.link(part, path)  # unlike rename it refuses to replace
                finally:
                    os.unlink(part)
            else:
                fs.pipe_file(path, content, mode="create")
        except FileExistsError:
            # The driver asks again where an answer was lost; then the file may be the one of its first request.
            return not isinstance(fs, LocalFileSystem) and read_bytes(uri) == content
        return True


def _part(fs: LocalFileSystem, path: str, content: bytes) -> str:
    """Write a file beside the one at the path, with a name of its own."""
    fs.makedirs(posixpath.dirname(path), exist_ok=True)
    part = f"{path}.{uuid.uuid4().hex}.part"
    fs.pipe_file(part, content)
    return part


def read_bytes(uri: str) -> bytes | None:
    """Return the content of a file; None where there is none."""
    with access(uri):
        fs, path = file_system(uri)
        try:
            content: bytes = fs.cat_file(path)
        except FileNotFoundError:
            return None
        return content


def list_names(uri: str, suffix: str = "") -> list[str]:
    """Return the sorted names of the files right below a URI; none where there is no such folder."""
    return [name for name in list_sizes(uri) if name.endswith(suffix)]


def list_sizes(uri: str) -> dict[str, int]:
    """Return the bytes of the files right below a URI, sorted by their names; none where there is no such folder."""
    return {name: int(entry["size"]) for name, entry in _entries(uri, "file")}


def list_revisions(uri: str) -> dict[str, str]:
    """Return for each file right below a URI what changes when its content does; none where there is no such folder."""
    return {name: f"{entry['size']} {revision(entry)}" for name, entry in _entries(uri, "file")}


def revision(entry: Mapping[str, Any]) -> str:
    """Return the etag of a file from what a listing says of it, else the time of its last change; empty without."""
    keys = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created")
    return next((str(entry[key]).strip('"') for key in keys if entry.get(key)), "")


def list_folders(uri: str) -> list[str]:
    """Return the sorted names of the folders right below a URI; none where there is no such folder."""
    return [name for name, _ in _entries(uri, "directory")]


def _entries(uri: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
    with access(uri):
        fs, path = file_system(uri)
        try:
            entries = fs.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
    named = ((e["name"].rstrip("/"), e) for e in entries if e["type"] == kind)
    return sorted(((posixpath.basename(name), e) for name, e in named if name != path.rstrip("/")), key=itemgetter(0))


def remove(uri: str) -> None:
    """Delete a file or a folder with all below it; nothing happens where there is none."""
    with access(uri):
        fs, path = file_system(uri)
        try:
            if isinstance(fs, LocalFileSystem):
                fs.rm(path, recursive=True)
            else:
                _remove_tree(fs, path)
        except FileNotFoundError:
            return


def _remove_tree(fs: fsspec.AbstractFileSystem, path: str) -> None:
    """Delete a file, or all below a folder, in storage other than a disk; no character of a path is a wildcard."""
    with ThreadPoolExecutor(_DELETIONS) as pool:
        list(pool.map(fs.rm_file, fs.find(path)))


@contextmanager
def write_stream(uri: str) -> Iterator[IO[bytes]]:
    """Open a file for writing in pieces; its folder is made where there is none."""
    with access(uri):
        fs, path = file_system(uri)
        _make_folder(fs, posixpath.dirname(path))
        with fs.open(path, "wb") as stream:
            yield stream


def move(uri: str, to: str) -> None:
    """Give a file another name in the same storage; what had that name is replaced."""
    with access(uri):
        fs, path = file_system(uri)
        if isinstance(fs, LocalFileSystem):
            os.replace(path, file_system(to)[1])
        else:
            fs.cp_file(path, file_system(to)[1])
            fs.rm_file(path)
