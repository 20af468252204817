"""The bytes of a file, wherever it lies: uncompressed, in pieces, and compared with a checksum beside it.

Invariant: a compressed file that ends before its end, or is not what its ``.md5`` says, is an error, never a shorter
file.
"""

import hashlib
import logging
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO

import fsspec

from llmner.errors import AccessError, ChecksumError, InputError, InputNotFoundError, LlmnerError
from llmner.sources.compression import CHUNK, decompressed
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.storage import access, file_system, read_bytes

logger = logging.getLogger(__name__)

CHECKSUM_SUFFIX = ".md5"
READ_AHEAD = 8 * 1024 * 1024  # bytes a request to remote storage

_MD5_LINE = re.compile(
    r"^\s*(?:MD5\s*\((?P<name1>.+)\)\s*=\s*(?P<hex1>[0-9a-f]{32})"  # MD5(name)= hex, as PubMed writes it
    r"|(?P<hex2>[0-9a-f]{32})(?:\s+\*?(?P<name2>\S.*?))?)\s*$",  # hex  name, as md5sum writes it
    re.IGNORECASE | re.MULTILINE,
)


def bucket_of(fs: fsspec.AbstractFileSystem, path: str) -> str:
    """Return the bucket that a path is in, or the root of a file system without buckets."""
    return fs.root_marker or path.split("/", 1)[0]


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Do as ``storage.access`` does, for what is read: a missing file is another error than a missing bucket."""
    with access(url):
        try:
            yield
        except FileNotFoundError as e:
            raise _missing(url) from e


def _missing(url: str) -> LlmnerError:
    fs, path = file_system(url)
    bucket = bucket_of(fs, path)
    if not fs.exists(bucket):
        return AccessError(f"{url}: no such bucket: {bucket}", hint="correct the URL, or the storage endpoint")
    return InputNotFoundError(f"{url}: no such file or folder", hint="correct the path")


@contextmanager
def open_file(url: str) -> Iterator[IO[bytes]]:
    """Open a file for reading; it can seek.

    Raises:
        InputNotFoundError: It does not exist.
        AccessError: No permission, no such bucket.
        StorageError: Storage that failed in passing, also later while the file is read.
    """
    fs, path = file_system(url)
    with reading(url), fs.open(path, "rb", block_size=READ_AHEAD) as stream:
        yield stream


def read_chunks(
    url: str, on_read: Callable[[int], None] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[bytes]:
    """Read the content of a file in pieces, decompressed if its first bytes are those of gzip or Zstandard.

    Args:
        url: Where it is.
        on_read: Is told the bytes of each piece as it is stored.
        limits: See ``Limits``.

    Raises:
        InputError: The file is empty, or its compressed data are damaged.
        TruncatedFileError: The compressed data end before their end; all before was given.
        InputNotFoundError, AccessError, StorageError: As ``open_file``.
    """
    empty = True
    with open_file(url) as stream:
        for piece in decompressed(_pieces(stream, on_read), url, limits):
            if piece:
                empty = False
                yield piece
    if empty:
        raise InputError(f"{url}: the file is empty", hint="fetch it again")


def _pieces(stream: IO[bytes], on_read: Callable[[int], None] | None) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        if on_read is not None:
            on_read(len(piece))
        yield piece


def verify_checksum(url: str) -> None:
    """Compare a file with the ``.md5`` file beside it, if there is one.

    Raises:
        ChecksumError: The content is another one, or the ``.md5`` file holds no checksum of it.
        InputNotFoundError, AccessError, StorageError: As ``open_file``.
    """
    name = posixpath.basename(url)
    try:
        content = read_bytes(url + CHECKSUM_SUFFIX)
    except AccessError:
        # Storage that may not be listed says so of a file that is not there. The file itself will tell whether it may
        # be read.
        _warn_of_hidden_checksums(posixpath.dirname(url))
        return
    if content is None:
        return
    text = content.decode("utf-8", "replace")
    if (expected := _expected_md5(text, name)) is None:
        raise ChecksumError(f"{url}{CHECKSUM_SUFFIX}: holds no MD5 checksum of {name}", hint="fetch it again")
    digest = hashlib.md5(usedforsecurity=False)
    with open_file(url) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        message = f"{url}: its MD5 is {digest.hexdigest()}, but {name}{CHECKSUM_SUFFIX} says {expected}"
        raise ChecksumError(message, hint="fetch the file again")


@cache
def _warn_of_hidden_checksums(folder: str) -> None:
    """Say once of a folder that its files are read without comparing checksums."""
    logger.warning("%s: no permission to see %s files; the files there are read unchecked", folder, CHECKSUM_SUFFIX)


def _expected_md5(text: str, name: str) -> str | None:
    """Return the checksum of a file by its name; a single checksum counts whatever name stands beside it."""
    sums = [(m["name1"] or m["name2"], (m["hex1"] or m["hex2"]).lower()) for m in _MD5_LINE.finditer(text)]
    if len(sums) == 1:
        return sums[0][1]
    return next((digest for other, digest in sums if other and posixpath.basename(other) == name), None)
