"""Archives as streams of files: nothing is unpacked to disk, and a broken file harms none other."""

import logging
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from llmner.errors import InputError, TruncatedFileError
from llmner.sources.compression import CHUNK, ChunkStream, within_inflation
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.opening import open_file

logger = logging.getLogger(__name__)

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip")

_ZIP_MAGIC = b"PK\x03\x04"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

Member = tuple[str, Iterator[bytes]]  # its name and its bytes, which can be read until the next member is asked for


def members(url: str, head: bytes, chunks: Iterable[bytes], limits: Limits = DEFAULT_LIMITS) -> Iterator[Member] | None:
    """Give the files of an archive.

    Args:
        url: Where the archive is.
        head: Its first bytes.
        chunks: All of it, uncompressed.
        limits: See ``Limits``.

    Returns:
        The files, one after another; None where this is no archive.
    """
    if head.startswith(_ZIP_MAGIC):
        return _zipped(url, limits)
    if head.startswith(_TAR_MAGIC, _TAR_MAGIC_AT):
        return _tarred(url, chunks)
    return None


def _zipped(url: str, limits: Limits) -> Iterator[Member]:
    with open_file(url) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except _BROKEN as e:
            raise InputError(f"{url}: damaged zip archive: {e}", hint="fetch the file again") from e
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, _zip_member(archive, info, url, limits)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, url: str, limits: Limits) -> Iterator[bytes]:
    try:
        with archive.open(info) as stream:
            place = f"{url}/{info.filename}"
            yield from within_inflation(_pieces(stream), lambda: info.compress_size, place, limits)
    except _BROKEN as e:
        raise InputError(f"{url}: {info.filename}: cannot be unpacked: {e}", hint="fetch the file again") from e


def _tarred(url: str, chunks: Iterable[bytes]) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=ChunkStream(chunks), mode="r|") as archive:
            for info in archive:
                if info.isfile() and (stream := archive.extractfile(info)):
                    yield info.name, _pieces(stream)
    except _BROKEN as e:
        raise TruncatedFileError(f"{url}: damaged tar archive: {e}", hint="fetch the file again") from e


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece
