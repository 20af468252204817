"""How fast each format is read, beside a library that reads the same where there is one.

    python tests/benchmarks/readers.py FOLDER

Takes every file of the folder that a format recognises, repeats small ones to a few megabytes in memory, and counts the
processor time of one thread; the best of several rounds counts. Peers read the same text from memory or from a file.
"""

import argparse
import gzip
import io
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import bioc
import nbib
import pubmed_parser
import rispy

from llmner.sources.files import find_files
from llmner.sources.format import Content, peek
from llmner.sources.opening import read_chunks
from llmner.sources.registry import format_named, recognised

ROUNDS = 3
SIZE = 4_000_000  # bytes that are read in a round
CHUNK = 256 * 1024

RIS = "TY  - JOUR\nTI  - Treatment of gout {}\nAB  - {}\nPY  - 2019\nDO  - 10.1000/x.{}\nER  - \n\n"
NBIB = "PMID- {}\nTI  - Treatment of gout\nAB  - {}\nDP  - 2019\n\n"
TEXT = "Colchicine was given to patients with gout, and it helped most of them within a day. " * 15


def by_format(folder: str) -> dict[str, list[bytes]]:
    """The contents of a folder's files by format, and made ones for the formats of which there may be none."""
    contents: dict[str, list[bytes]] = defaultdict(list)
    for file in find_files([folder]):
        head, chunks = peek(read_chunks(file.url))
        if (format := recognised(head, file.url)) is not None:
            contents[format.name].append(b"".join(chunks))
    contents["ris"].append("".join(RIS.format(i, TEXT, i) for i in range(100)).encode())
    contents["nbib"].append("".join(NBIB.format(i, TEXT) for i in range(100)).encode())
    return contents


def enlarged(contents: list[bytes]) -> list[bytes]:
    """The contents again and again, to about the size of a round."""
    return contents * max(1, SIZE // sum(map(len, contents)))


def ours(name: str, contents: list[bytes]) -> int:
    """Read with this package; the number of documents."""
    count = 0
    for content in contents:
        chunks: Iterator[bytes] = (content[i : i + CHUNK] for i in range(0, len(content), CHUNK))
        count += sum(1 for _ in format_named(name).read(Content("memory", chunks)))
    return count


def their_bioc(contents: list[bytes]) -> int:
    """Read BioC XML with ``bioc``."""
    xml = (c for c in contents if c.lstrip()[:1] == b"<")
    return sum(len(bioc.biocxml.loads(c.decode()).documents) for c in xml)


def their_pubmed(contents: list[bytes]) -> int:
    """Read PubMed XML with ``pubmed_parser``, from compressed files as it must."""
    packed = [gzip.compress(content, 1) for content in contents]
    return _from_files(packed, lambda path: len(list(pubmed_parser.parse_medline_xml(path))))


def their_jats(contents: list[bytes]) -> int:
    """Read the paragraphs of JATS with ``pubmed_parser``, from files as it must."""
    return _from_files(contents, lambda path: bool(pubmed_parser.parse_pubmed_paragraph(path, all_paragraph=True)))


def _from_files(contents: list[bytes], read: Callable[[str], int]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        count = 0
        for i, content in enumerate(contents):
            path = Path(folder) / f"{i}.xml"
            path.write_bytes(content)
            count += read(str(path))
    return count


PEERS: dict[str, tuple[str, Callable[[list[bytes]], int]]] = {
    "bioc": ("bioc", their_bioc),
    "pubmed": ("pubmed_parser", their_pubmed),
    "jats": ("pubmed_parser", their_jats),
    "ris": ("rispy", lambda contents: sum(len(rispy.load(io.StringIO(c.decode()))) for c in contents)),
    "nbib": ("nbib", lambda contents: sum(len(nbib.read(c.decode())) for c in contents)),
}


def best(read: Callable[[], int]) -> tuple[float, int]:
    """The least processor time of several rounds, and what was counted."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        count = read()
        times.append(time.process_time() - start)
    return min(times), count


def main() -> None:
    """Measure each format."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="files of several formats")
    for name, contents in sorted(by_format(parser.parse_args().folder).items()):
        if name == "bioc":
            contents = [c for c in contents if c.lstrip()[:1] == b"<"]
        contents = enlarged(contents)
        size = sum(map(len, contents)) / 1e6
        took, count = best(lambda name=name, contents=contents: ours(name, contents))
        line = f"{name:12}{size / took:7.1f} MB/s {count / took:9,.0f} documents/s"
        if name in PEERS:
            peer, read = PEERS[name]
            try:
                theirs, _ = best(lambda read=read, contents=contents: read(contents))
                line += f"   {peer} {size / theirs:.1f} MB/s"
            except (ET.ParseError, ValueError, KeyError, AttributeError) as e:
                line += f"   {peer} fails: {type(e).__name__}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
