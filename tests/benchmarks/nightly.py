"""A day of PubMed in shape: a file of 30,000 records of which 56 % repeat a document, most of them with the same text.

    python tests/benchmarks/nightly.py --records 30000

The data set first gets the documents that are repeated; then the day is timed, with an engine that takes no time, so
what is measured is everything else: reading twice, the ledger, Ray, writing, counting, the commit. Shown are seconds
and the peak memory of this process and of its Ray workers together.
"""

import argparse
import gzip
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from capital_words import run_nightly

from llmner.config import JobConfig
from llmner.extraction.cluster import own_ray

REPEATS = 0.56
REVISED = 0.1  # of the repeats, with a new text
ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article>
<ArticleTitle>{title}</ArticleTitle><Abstract><AbstractText>{abstract}</AbstractText></Abstract></Article><MeshHeadingList>{mesh}</MeshHeadingList>
</MedlineCitation></PubmedArticle>\n"""
MESH = "<MeshHeading><DescriptorName>Humans</DescriptorName></MeshHeading>" * 12
WORDS = ("patients", "with", "Aspirin", "and", "severe", "Renal", "Failure", "were", "treated", "for", "their", "pain")


def write(path: Path, texts: dict[int, str]) -> None:
    """Write a file of citations with abstracts as long as PubMed's."""
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("<PubmedArticleSet>\n")
        for pmid, title in texts.items():
            words = random.Random(title).choices(WORDS, k=280)
            sentences = (" ".join(words[i : i + 20]) + "." for i in range(0, len(words), 20))
            file.write(ARTICLE.format(pmid=pmid, title=title, abstract=" ".join(sentences), mesh=MESH))
        file.write("</PubmedArticleSet>\n")


class PeakMemory(threading.Thread):
    """Watches the memory of this process and of those it started; shared pages count once a process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.done = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.done.wait(0.5):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=30_000)
    records = parser.parse_args().records
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # Ray's workers find the engine there
    repeats = round(records * REPEATS)
    with tempfile.TemporaryDirectory() as folder, own_ray():
        known = {pmid: f"Study {pmid} of Aspirin." for pmid in range(repeats)}
        Path(folder, "in").mkdir()
        write(Path(folder, "in", "pubmed26n0001.xml.gz"), known)
        tag_sets = {"en": ["ncbi_disease"]}
        values = {"inputs": [f"{folder}/in"], "output": f"{folder}/out", "tag_sets": tag_sets}
        config = JobConfig.model_validate(values)
        run_nightly(config)
        revised = {pmid: f"Study {pmid} of Fever." for pmid in range(0, repeats, round(1 / REVISED))}
        new = {pmid: f"Study {pmid} of Naloxone." for pmid in range(repeats, records)}
        write(Path(folder, "in", "pubmed26n0002.xml.gz"), known | revised | new)
        memory = PeakMemory()
        memory.start()
        start = time.perf_counter()
        [batch] = run_nightly(config).batches
        seconds = time.perf_counter() - start
        memory.done.set()
    counts = batch.manifest.counts
    print(f"{records:,} records, {counts['unchanged']:,} unchanged: {seconds:.0f} s, peak {memory.peak / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
