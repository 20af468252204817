"""What a sample of a job's inputs is like: how many documents, sentences and characters there are to expect.

Invariant: the sample is the same each time over unchanged inputs; nothing but the inputs is read, and nothing is
written.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llmner.annotator import Segmenter
from llmner.config import JobConfig
from llmner.documents import Row, document_row
from llmner.sources import read_file
from llmner.sources.fields import field_map
from llmner.sources.files import SourceFile

FILES = 8  # of a kind that are looked at, spread over all
ENOUGH = 200  # documents of a file
ENOUGH_BYTES = 1 << 20  # of it as it is stored, so that blocks in which it is read count for little


@dataclass
class Sample:
    """What all inputs are like, by a sample of them.

    Attributes:
        files: Files of the job.
        size: Their bytes, as stored.
        read: Bytes of them that were read.
        documents: Documents to expect.
        rejected: Of them those that cannot be read.
        sentences: Sentences that will be tagged, once for each tag set of their language.
        characters: Characters of these by language, once for each tag set.
        texts: Characters of all texts.
        rows: Some of the documents, segmented; of each file that was looked at the first ones.
    """

    files: int = 0
    size: int = 0
    read: int = 0
    documents: float = 0.0
    rejected: float = 0.0
    sentences: float = 0.0
    characters: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    texts: float = 0.0
    rows: list[Row] = field(default_factory=list)

    def add(self, other: "Sample", scale: float) -> None:
        """Add a sample of some of the inputs, of which there is so many times as much."""
        self.read += other.read
        self.documents += other.documents * scale
        self.rejected += other.rejected * scale
        self.sentences += other.sentences * scale
        self.texts += other.texts * scale
        for lang, n in other.characters.items():
            self.characters[lang] += n * scale
        self.rows += other.rows


def take_sample(files: Sequence[SourceFile], config: JobConfig) -> Sample:
    """Read the first documents of some of a job's files; of each kind, told by the ends of their names, some.

    Args:
        files: Its inputs.
        config: The job.

    Raises:
        StorageError: Storage that failed in passing.
    """
    kinds: defaultdict[str, list[SourceFile]] = defaultdict(list)
    for file in files:
        kinds[file.name.lower().partition(".")[2]].append(file)
    sample = Sample(len(files), sum(f.size for f in files))
    if config.limit is not None and config.limit <= FILES * ENOUGH:  # a small run is counted itself
        for file in files:
            if sample.documents < config.limit:
                _read(sample, file, config, most=config.limit - round(sample.documents))
        return sample
    for own in kinds.values():
        of_kind = Sample()
        for i in range(min(FILES, len(own))):
            _read(of_kind, own[i * len(own) // min(FILES, len(own))], config)
        sample.add(of_kind, sum(f.size for f in own) / max(1, of_kind.read))
    return sample


def _read(sample: Sample, file: SourceFile, config: JobConfig, *, most: int | None = None) -> None:
    """Count the first documents of a file, so many at most where that is said."""
    segment = Segmenter(config.max_sentence)
    used = read = seen = 0  # bytes that were used up, those that were read, and what was used up at the last document

    def count(size: int) -> None:
        nonlocal used, read
        used, read = read, read + size

    for found, document in enumerate(read_file(file, field_map(config.fields), limits=config.limits, on_read=count), 1):
        row = document_row(document)
        segment([row])
        sample.documents += 1
        sample.rejected += row["status"] == "rejected"
        sample.texts += len(row["text"])
        for lang, length in tagged(row, config):
            sample.sentences += 1
            sample.characters[lang] += length
        if found <= ENOUGH:
            sample.rows.append(row)
        if found == most:
            sample.read += used
            return
        if (
            most is None and found >= ENOUGH and used >= ENOUGH_BYTES and used > seen
        ):  # the first document beyond a piece of the file
            sample.read += used
            return
        seen = used
    sample.read += file.size


def tagged(row: Row, config: JobConfig) -> Iterator[tuple[str, int]]:
    """Yield language and length of each sentence of a segmented document, once for each tag set."""
    tag_sets: Mapping[str, Sequence[str]] = {str(lang): names for lang, names in config.tag_sets.items()}
    for sentence in row["sentences"]:
        lang = row["parts"][sentence["part"]]["lang"]
        for _ in tag_sets.get(lang, ()):
            yield lang, sentence["end"] - sentence["start"]
