"""Reading PubMed XML beside ``pubmed_parser``: the same citations, the same text, megabytes a second on one core.

    python tests/benchmarks/pubmed.py pubmed26n0001.xml.gz

Both read the same gzip file from local disk on one thread. A file in the layout before 2017, whose citations
``pubmed_parser`` passes over, is first brought into today's. Texts are compared on a copy without the labels of
structured abstracts, which ``pubmed_parser`` writes in its own way, and without white space.
"""

import argparse
import gzip
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pubmed_parser

from llmner.sources.opening import read_chunks
from llmner.sources.pubmed import read_pubmed

ROUNDS = 7

Citation = tuple[str, str]  # PMID and text


def ours(path: Path) -> Iterator[Citation]:
    """What this package reads, without deletions and Chinese abstracts, which are documents of their own."""
    documents = read_pubmed(read_chunks(str(path)), str(path))
    return ((d.source_id, d.text) for d in documents if not d.withdrawn and not d.source_id.endswith(":chi"))


def theirs(path: Path) -> Iterator[Citation]:
    """What ``pubmed_parser`` reads."""
    return ((d["pmid"], f"{d['title']} {d['abstract']}") for d in pubmed_parser.parse_medline_xml(str(path)))


def seconds(read: Callable[[Path], Iterator[Citation]], path: Path) -> float:
    """Processor time of one round: others on the machine do not count."""
    start = time.process_time()
    for _ in read(path):
        pass
    return time.process_time() - start


def todays_layout(xml: bytes) -> bytes:
    """The file with each citation in an article, as since 2017."""
    if b"<PubmedArticle" in xml:
        return xml
    xml = re.sub(rb"<MedlineCitation\b", rb"<PubmedArticle>\g<0>", xml)
    xml = re.sub(rb"</MedlineCitation>", rb"\g<0></PubmedArticle>", xml)
    return xml.replace(b"<PubmedArticle><MedlineCitationSet", b"<MedlineCitationSet")


def main() -> None:
    """Compare what both read, then how fast."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="a PubMed file, .xml or .xml.gz")
    xml = todays_layout(b"".join(read_chunks(str(parser.parse_args().file))))
    with tempfile.TemporaryDirectory() as folder:
        path, plain = Path(folder) / "pubmed.xml.gz", Path(folder) / "plain.xml.gz"
        path.write_bytes(gzip.compress(xml, 6))
        plain.write_bytes(gzip.compress(re.sub(rb'\sLabel="[^"]*"', b"", xml), 1))
        mine, other = list(ours(plain)), list(theirs(plain))
        assert [pmid for pmid, _ in mine] == [pmid for pmid, _ in other]
        different = [p for (p, a), (_, b) in zip(mine, other, strict=True) if a.split() != b.split()]
        assert not different, f"the text is another one: {different[:20]}"
        print(f"{len(mine):,} citations, the same PMIDs, the same text")
        # Rounds alternate, so that both have the same neighbours on the machine; the best round counts.
        rounds = [(seconds(ours, path), seconds(theirs, path)) for _ in range(ROUNDS)]
        best = [min(times) for times in zip(*rounds, strict=True)]
        for name, took in zip(("llmner", "pubmed_parser"), best, strict=True):
            rates = (
                f"{size / took / 1e6:6.1f} MB/s {what}"
                for size, what in ((len(xml), "of XML"), (path.stat().st_size, "of gzip"))
            )
            print(f"{name:14}{', '.join(rates)}, {len(mine) / took:8,.0f} citations/s")
        print(f"{best[1] / best[0]:.1f} times as fast")


if __name__ == "__main__":
    main()
