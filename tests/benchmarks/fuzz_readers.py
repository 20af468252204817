"""Mutated real files through every reader: nothing raises but our own errors, nothing hangs, memory stays flat.

    python tests/benchmarks/fuzz_readers.py FOLDER --minutes 10

For each format that recognises a file of the folder: bytes are flipped, cut out, doubled and moved, and the result is
read to its end. Prints for each format how many inputs were read, the slowest, and the growth of memory.
"""

import argparse
import random
import resource
import time
from collections import defaultdict

from llmner.errors import LlmnerError
from llmner.sources.files import find_files
from llmner.sources.format import Content, peek
from llmner.sources.opening import read_chunks
from llmner.sources.registry import format_named, recognised

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


def main() -> None:
    """Fuzz each format for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--minutes", type=float, default=10, help="for each format")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    contents: dict[str, list[bytes]] = defaultdict(list)
    for file in find_files([arguments.folder]):
        head, chunks = peek(read_chunks(file.url))
        if (format := recognised(head, file.url)) is not None and format.compressed:
            contents[format.name].append(b"".join(chunks))
    for name, originals in sorted(contents.items()):
        rng = random.Random(arguments.seed)
        end = time.monotonic() + arguments.minutes * 60
        inputs = documents = rejected = refused = 0
        slowest = 0.0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while time.monotonic() < end:
            original = rng.choice(originals)
            begin = rng.randrange(max(1, len(original) - LARGEST)) if rng.random() < 0.5 else 0
            data = mutated(original[begin : begin + LARGEST], rng)
            size = rng.choice([97, 4096, 262144])
            started = time.process_time()
            try:
                chunks = (data[i : i + size] for i in range(0, len(data), size))
                for document in format_named(name).read(Content("memory", chunks)):
                    documents += 1
                    rejected += document.error is not None
            except LlmnerError:
                refused += 1
            slowest = max(slowest, time.process_time() - started)
            inputs += 1
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"{name:12}{inputs:7,} inputs, {documents:9,} documents, {rejected:7,} rejected, {refused:6,} refused, "
            f"slowest {slowest:.2f} s, memory +{grown:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
