"""Input files: which ones there are.

Invariant: the same inputs over unchanged storage give the same list in the same order. A file that is passed over is
reported, and what an extraction has written is never an input.
"""

import hashlib
import logging
import os
import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from llmner.errors import InputError, InputNotFoundError, printable
from llmner.sources.archives import SUFFIXES as ARCHIVES
from llmner.sources.format import peek
from llmner.sources.opening import CHECKSUM_SUFFIX, bucket_of, read_chunks, reading
from llmner.sources.registry import AUTO, FORMATS, called, format_named, recognised
from llmner.storage import file_system, revision

logger = logging.getLogger(__name__)

DATASET_FILE = "dataset.json"  # stands in the folder of a data set
_AT_ONCE = 4  # files that are digested at the same time
_SHOWN = 5  # names of files that were passed over, in a message


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An input file and its state when it was listed.

    Attributes:
        url: Absolute path or URL.
        format: Name of its format; ``auto`` where its content will tell.
        size: Bytes, as stored.
        revision: What changes when the content does: the store's etag, else the time of the last change; of a local
            file its digest once ``digested`` has read it.
    """

    url: str
    format: str
    size: int
    revision: str

    @property
    def shown(self) -> str:
        """The URL as data sets and messages have it: whatever bytes are in a file's name, it is UTF-8."""
        return printable(self.url)

    @property
    def name(self) -> str:
        """The name without its folder, as data sets and messages have it."""
        return posixpath.basename(self.shown)


def find_files(inputs: Sequence[str], format: str = AUTO) -> list[SourceFile]:
    """List the files that inputs name, sorted by URL, each once.

    Args:
        inputs: Files, folders (with all below them) and patterns (``*``, ``?``, ``**``), as URLs or local paths.
        format: Name of the format of all of them; ``auto`` finds out that of each. Of a folder or a pattern only
            files are taken that are called as files of such a format are; where there are none, and a format is
            given, all.

    Raises:
        ConfigError: No such format.
        InputNotFoundError: An input that does not exist, or a folder or pattern without a file to read.
        InputError: A file named outright whose format cannot be told.
        AccessError: No permission, no such bucket, a protocol that nothing here speaks.
        StorageError: Storage that failed in passing.
    """
    found = {file.url: file for url in inputs for file in _expand(url, format)}
    return [found[url] for url in sorted(found)]


def digested(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Read local files and return all with a revision that tells the same content, however often it is copied.

    Raises:
        InputNotFoundError, AccessError: A file that was listed cannot be read.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_digested, files))


def _digested(file: SourceFile) -> SourceFile:
    fs, path = file_system(file.url)
    if not isinstance(fs, LocalFileSystem):
        return file
    with reading(file.url), fs.open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16))
    return replace(file, revision=f"blake2b-{digest.hexdigest()}")


def _expand(url: str, format: str) -> list[SourceFile]:
    fs, path = file_system(url)
    with reading(url):
        try:
            info = fs.info(path)
        except FileNotFoundError:
            if not fsspec.core.has_magic(path):
                raise
            entries = list(fs.glob(path, detail=True).values())
            if not entries and not fs.exists(bucket_of(fs, path)):
                raise
        else:
            if info["type"] != "directory":
                file = _source_file(fs, _followed(fs, info), format)
                if format == AUTO and not _is_called_so(file.name, format):
                    _check_recognised(file.url)
                return [file]
            entries = [info, *fs.find(path, detail=True, withdirs=True).values()]
            if isinstance(fs, LocalFileSystem):
                for entry in entries:
                    if entry["type"] == "directory":
                        fs.ls(entry["name"])  # find() passes over a folder that it may not read
    return _readable(fs, url, [_followed(fs, entry) for entry in entries], format)


def _readable(fs: fsspec.AbstractFileSystem, url: str, entries: list[dict[str, Any]], format: str) -> list[SourceFile]:
    """Choose the files of a folder or pattern that can be read."""
    ours = {posixpath.dirname(e["name"]) for e in entries if posixpath.basename(e["name"]) == DATASET_FILE}
    files, others = [], []
    for entry in entries:
        name = posixpath.basename(entry["name"])
        if entry["type"] == "directory" or name.startswith((".", "_")) or name.endswith(CHECKSUM_SUFFIX):
            continue
        if entry["type"] != "file" or any(folder in ours for folder in _folders(entry["name"])):
            others.append(entry)
        else:
            files.append(entry)
    named = [e for e in files if _is_called_so(e["name"], format)]
    if not named and format != AUTO:
        named = files
    if format == AUTO:
        others += [e for e in files if e not in named]
    if others:
        shown = printable(", ".join(posixpath.basename(e["name"]) for e in others[:_SHOWN]))
        logger.warning("%s: %d files passed over: %s", url, len(others), shown + (", ..." * (len(others) > _SHOWN)))
    if not named:
        formats = [f for f in FORMATS if f.documents] if format == AUTO else [format_named(format)]
        known = ", ".join(dict.fromkeys(suffix for f in formats for suffix in f.suffixes))
        raise InputNotFoundError(f"{url}: no file to read there", hint=f"names end in {known}; or give --format")
    return [_source_file(fs, entry, format) for entry in named]


def _is_called_so(name: str, format: str) -> bool:
    """Return whether a file is called as files of the format, or archives, are."""
    if name.lower().endswith(ARCHIVES):
        return True
    return bool(called(name)) if format == AUTO else format_named(format).named(name)


def _folders(path: str) -> Iterator[str]:
    """Yield the folders above a path."""
    while (folder := posixpath.dirname(path)) != path:
        yield folder
        path = folder


def _followed(fs: fsspec.AbstractFileSystem, entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of a listing; one of a local link to a file as that of the file."""
    if isinstance(fs, LocalFileSystem) and entry.get("islink") and os.path.isfile(entry["name"]):
        target = os.stat(entry["name"])
        return entry | {"type": "file", "size": target.st_size, "mtime": target.st_mtime}
    return entry


def _check_recognised(url: str) -> None:
    head, _ = peek(read_chunks(url))
    if recognised(head, url) is None:
        known = ", ".join(f.name for f in FORMATS if f.documents)
        message = f"{url}: neither its content nor its name tells its format"
        raise InputError(message, hint=f"give it by --format, one of {known}")


def _source_file(fs: fsspec.AbstractFileSystem, info: dict[str, Any], format: str) -> SourceFile:
    url = info["name"] if isinstance(fs, LocalFileSystem) else fs.unstrip_protocol(info["name"])
    return SourceFile(url, format, info["size"], revision(info))
