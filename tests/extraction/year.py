"""A year of PubMed in small: the files of each night, and what a data set should hold after it.

The expectation is a dictionary of what each file says, merged in the order of the files' names.
"""

import gzip
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><Article><Journal><JournalIssue>
<PubDate><Year>{year}</Year></PubDate></JournalIssue></Journal><ArticleTitle>{title}</ArticleTitle>
</Article><MeshHeadingList><MeshHeading><DescriptorName>{heading}</DescriptorName></MeshHeading></MeshHeadingList>
</MedlineCitation></PubmedArticle>"""
WORDS = ("Aspirin", "Fever", "Naloxone", "Asthma", "Renal Failure", "pain", "nothing of note")

Identity = tuple[str, int]  # PMID and version


@dataclass(frozen=True)
class Citation:
    """What a file says of a document."""

    title: str
    year: int
    heading: str = "Humans"


@dataclass
class UpdateFile:
    """A file of updates: citations, then deletions."""

    name: str
    citations: dict[Identity, Citation]
    deleted: list[Identity] = field(default_factory=list)

    def content(self) -> bytes:
        articles = [ARTICLE.format(pmid=p, version=v, **vars(c)) for (p, v), c in self.citations.items()]
        pmids = [f'<PMID Version="{version}">{pmid}</PMID>' for pmid, version in self.deleted]
        deletions = f"<DeleteCitation>{''.join(pmids)}</DeleteCitation>" if pmids else ""
        xml = f"<PubmedArticleSet>{''.join(articles)}{deletions}</PubmedArticleSet>"
        return gzip.compress(xml.encode(), mtime=0)

    def checksum(self) -> bytes:
        return f"MD5({self.name})= {hashlib.md5(self.content()).hexdigest()}\n".encode()


@dataclass
class Night:
    """What lies in storage at night that did not before: files by name with their checksums."""

    files: list[UpdateFile]
    broken: list[UpdateFile] = field(default_factory=list)  # their checksum is wrong, tonight
    baseline: bool = False


def merged(files: Sequence[UpdateFile], first: str = "") -> dict[str, tuple[int, str, int]]:
    """Version, text and year of each document after these files, in the order of their names from the first on."""
    versions: dict[Identity, Citation] = {}
    for file in sorted(files, key=lambda f: f.name):
        if file.name >= first:
            versions |= file.citations
            for identity in file.deleted:
                versions.pop(identity, None)
    newest: dict[str, tuple[int, str, int]] = {}
    for (pmid, version), citation in versions.items():
        if version > newest.get(pmid, (0,))[0]:
            newest[pmid] = (version, citation.title, citation.year)
    return newest


def nights(seed: int = 3, *, baseline: int = 6, days: int = 14, size: int = 8) -> Iterator[Night]:
    """A baseline, days of updates of every kind, and a new baseline, in which some documents are missing."""
    rng = random.Random(seed)
    known: dict[Identity, Citation] = {}
    gone: list[tuple[Identity, Citation]] = []
    number, pmid = 0, 0

    def name(number: int, year: int = 26) -> str:
        return f"pubmed{year}n{number:04d}.xml.gz"

    def new() -> tuple[Identity, Citation]:
        nonlocal pmid
        pmid += 1
        return (str(pmid), 1), Citation(f"Study {pmid} of {rng.choice(WORDS)} and {rng.choice(WORDS)}.", 2025)

    files = []
    for _ in range(baseline):
        number += 1
        files.append(UpdateFile(name(number), dict(new() for _ in range(size))))
        known |= files[-1].citations
    yield Night(files)
    late: UpdateFile | None = None
    broken: UpdateFile | None = None
    for day in range(days):
        number += 1
        file = UpdateFile(name(number), dict(new() for _ in range(size // 2)))
        for i, identity in enumerate(rng.sample(sorted(known), size - size // 2)):
            old = known[identity]
            if i % 2:
                file.citations[identity] = Citation(old.title, old.year + rng.choice((0, 1)), f"Heading {day}")
            elif rng.random() < 0.3:
                file.citations[identity[0], identity[1] + 1] = Citation(f"{old.title} Asthma again.", old.year)
            else:
                file.citations[identity] = Citation(f"{rng.choice(WORDS)} revised on day {day}.", old.year)
        if gone and day % 3 == 0:
            identity, citation = gone.pop()
            file.citations[identity] = citation  # comes again as it was
        known |= file.citations
        for identity in rng.sample(sorted(known if day == 2 else known.keys() - file.citations), 1 + day % 2):
            file.deleted.append(identity)
            gone.append((identity, known.pop(identity)))
        tonight = Night([file])
        if day == 4:
            late = file
            tonight.files = []
        elif day == 6 and late:
            tonight.files.append(late)
        elif day == 8:
            broken = file
            tonight = Night([], [file])
        elif day == 9 and broken:
            tonight.files.append(broken)
        yield tonight
    missing = set(rng.sample(sorted(known), 3))
    kept = [(identity, citation) for identity, citation in sorted(known.items()) if identity not in missing]
    parts = [dict(kept[first::baseline]) for first in range(baseline)]
    files = [UpdateFile(name(number, 27), part) for number, part in enumerate(parts, 1)]
    files[0].citations |= dict(new() for _ in range(2))
    yield Night(files, baseline=True)
