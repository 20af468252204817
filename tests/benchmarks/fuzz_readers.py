"""Mutated real files through every reader: nothing raises but our own errors, nothing hangs, memory stays flat.

    python tests/benchmarks/fuzz_readers.py FOLDER --minutes 10

For each format that reads a file of the folder: bytes are flipped, cut out, doubled and moved, and the result is read
to its end, from memory, or from a file where the format is read from one. Prints for each format how many inputs were
read, the slowest, and memory at the beginning and at the end; inputs that a reader fails at are kept. Ends with an
error if a reader failed or its memory grew.
"""

import argparse
import gc
import hashlib
import logging
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from llmner.documents import Document
from llmner.errors import InputError, LlmnerError
from llmner.sources import brat
from llmner.sources.format import HEAD, Content, Format
from llmner.sources.opening import read_chunks
from llmner.sources.registry import FORMATS, recognised

logger = logging.getLogger(__name__)

MOST_GROWTH = 64e6  # bytes that memory may grow by, once the first inputs have filled the allocators
WARM = 0.2  # of the time
LARGEST = 300_000  # bytes of an input
TRICKS = [
    b"<",
    b">",
    b"&",
    b"]]>",
    b'"',
    b"{",
    b"[",
    b"\\u",
    b"\0",
    b"\n",
    b"\r",
    b"\t",
    b"\xff",
    b"|t|",
    b"%0 ",
    b"9" * 30,
]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A content with a few changes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if not data:
            break
        place, length = rng.randrange(len(data)), rng.choice([1, 2, 10, 100, 5000])
        match rng.randrange(5):
            case 0:
                data[place] = rng.randrange(256)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                data[place:place] = rng.choice(TRICKS) * rng.choice([1, 1, 3, 1000])
            case 4:
                other = rng.randrange(len(data))
                data[place : place + length] = data[other : other + length]
    return bytes(data)


@dataclass(frozen=True)
class Original:
    """A real file, and for brat the text beside it."""

    name: str
    content: bytes
    text: bytes | None = None


def originals_in(folder: str) -> dict[str, list[Original]]:
    """The files of a folder by the formats that read them; those of corpora are told by their names."""
    found: dict[str, list[Original]] = defaultdict(list)
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        try:
            content = b"".join(read_chunks(str(path)))
        except InputError:
            continue
        of_documents = recognised(content[:HEAD], path.name)
        formats = [f for f in FORMATS if f is of_documents or (not f.documents and f.named(path.name))]
        for format in formats:
            text = None
            if format is brat.FORMAT:
                if not (beside := path.with_suffix(".txt")).exists():
                    continue
                text = beside.read_bytes()
            found[format.name].append(Original(path.name.removesuffix(".gz"), content, text))
    return found


def changed(original: Original, rng: random.Random) -> Original:
    """A file with a few changes; of a large one a part, where a part can be read."""
    content = original.content
    if not content.startswith(b"PAR1"):
        begin = rng.randrange(max(1, len(content) - LARGEST)) if rng.random() < 0.5 else 0
        content = content[begin : begin + LARGEST]
    text = original.text
    return Original(original.name, mutated(content, rng), None if text is None else mutated(text, rng))


def read(format: Format, given: Original, folder: Path, size: int) -> Iterator[Document]:
    """Read from memory in pieces of a size, or from a file."""
    pieces = (given.content[i : i + size] for i in range(0, len(given.content), size))
    if format.compressed:
        return format.read(Content("memory", pieces))
    path = folder / given.name
    path.write_bytes(given.content)
    if given.text is not None:
        path.with_suffix(".txt").write_bytes(given.text)
    return format.read(Content(str(path), pieces))


def keep(given: Original, format: Format, folder: Path) -> Path:
    """Write an input that a reader has failed at."""
    digest = hashlib.sha256(given.content + (given.text or b"")).hexdigest()[:12]
    path = folder / f"{format.name}-{digest}-{given.name}"
    path.write_bytes(given.content)
    if given.text is not None:
        path.with_suffix(".txt").write_bytes(given.text)
    return path


def fuzz(format: Format, originals: list[Original], minutes: float, seed: int, faults: Path) -> bool:
    """Fuzz a reader and say how it did; return whether all is well."""
    rng = random.Random(seed)
    started = time.monotonic()
    inputs = documents = rejected = refused = failed = 0
    slowest = 0.0
    before = None
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        while (passed := (time.monotonic() - started) / 60 / minutes) < 1:
            if before is None and passed > WARM:
                gc.collect()
                before = process.memory_info().rss
            given = changed(rng.choice(originals), rng)
            size = rng.choice([97, 4096, 262144])
            begin = time.process_time()
            try:
                for document in read(format, given, Path(folder), size):
                    documents += 1
                    rejected += document.error is not None
            except LlmnerError:
                refused += 1
            except Exception:
                failed += 1
                logger.exception("%s, in pieces of %d bytes", keep(given, format, faults), size)
            slowest = max(slowest, time.process_time() - begin)
            inputs += 1
    gc.collect()
    after = process.memory_info().rss
    before = after if before is None else before
    print(
        f"{format.name:12}{inputs:7,} inputs, {documents:9,} documents, {rejected:7,} rejected, {refused:6,} refused, "
        f"{failed} failed, slowest {slowest:.2f} s, memory {before / 1e6:.0f} MB, at the end {after / 1e6:.0f} MB",
        flush=True,
    )
    return not failed and after - before <= MOST_GROWTH


def main() -> None:
    """Fuzz each format for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--minutes", type=float, default=10, help="for each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="*", help="only these")
    parser.add_argument("--faults", type=Path, default=Path(), help="folder for inputs that a reader fails at")
    arguments = parser.parse_args()
    originals = originals_in(arguments.folder)
    if missing := set(arguments.formats or ()) - set(originals):
        parser.error(f"{arguments.folder} has no file of {', '.join(sorted(missing))}")
    well = [
        fuzz(format, originals[format.name], arguments.minutes, arguments.seed, arguments.faults)
        for format in FORMATS
        if format.name in originals and (not arguments.formats or format.name in arguments.formats)
    ]
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
