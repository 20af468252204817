"""What a run will take: a pure function of a sample of its inputs, the rate of its models and the job.

Invariant: the same sample, job and rate give the same figures; what is assumed stands in ``ASSUMPTIONS``.
"""

from dataclasses import dataclass
from math import ceil
from types import MappingProxyType

from llmner.config import JobConfig
from llmner.extraction.rates import Rate
from llmner.extraction.sampling import Sample
from llmner.sources.opening import READ_AHEAD

# Where no model was run.
TOKENS_PER_CHARACTER = MappingProxyType({"en": 0.25, "zh": 0.7})
BYTES_PER_CHARACTER = 0.7
# Of a bare engine's speed that is left in a pipeline; see docs/benchmarks.md.
PIPELINE = 0.87
START = 15.0  # seconds until Ray and its processes are there
DRIVER_MEMORY, DRIVER_BYTES_PER_DOCUMENT = 250e6, 26

ASSUMPTIONS = (
    "the rest of the inputs is like the sample",
    f"a pipeline keeps {PIPELINE:.0%} of its engine's speed",
    f"Ray starts in {START:.0f} seconds, before a worker loads its models",
    "workers are as fast as the one that was measured, and all of them are there all the time",
    "nothing is done again; a worker that dies repeats what it was given",
    "of requests: two reads and one write of each file that is written, three of its entry in the checkpoint",
)


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        documents: Documents.
        sentences: Sentences, once for each of their tag sets.
        tokens: Source tokens, once for each tag set.
        workers: Workers.
        worker_hours: Hours of all workers together; None where no rate is known.
        hours: From the start to the end; None where no rate is known.
        worker_memory: Bytes of a worker; None where no rate is known.
        driver_memory: Bytes of the driver.
        output: Bytes that are written.
        objects: Files that are written and stay.
        gets: Requests that read.
        puts: Requests that write.
    """

    documents: int
    sentences: int
    tokens: int
    workers: int
    worker_hours: float | None
    hours: float | None
    worker_memory: int | None
    driver_memory: int
    output: int
    objects: int
    gets: int
    puts: int


def estimate(sample: Sample, config: JobConfig, rate: Rate | None) -> Estimate:
    """Estimate what a run will take.

    Args:
        sample: Of its inputs.
        config: The job.
        rate: Of its models; None where none was measured.
    """
    limit = sample.documents if config.limit is None else config.limit
    scale = min(1.0, limit / max(1.0, sample.documents))
    per_character = {**TOKENS_PER_CHARACTER, **(rate.tokens_per_character if rate else {})}
    documents = round(sample.documents * scale)
    tokens = sum(per_character.get(lang, 0.0) * n for lang, n in sample.characters.items()) * scale
    workers = config.tag.actors[1]
    files = ceil(documents / config.documents_per_file)
    start = (START + rate.load_seconds) / 3600 if rate else 0.0
    worker_hours = tokens / (rate.tokens_per_second * PIPELINE) / 3600 if rate else None
    return Estimate(
        documents=documents,
        sentences=round(sample.sentences * scale),
        tokens=round(tokens),
        workers=workers,
        worker_hours=worker_hours,
        hours=worker_hours / workers + start if worker_hours is not None else None,
        worker_memory=rate.memory if rate else None,
        driver_memory=round(DRIVER_MEMORY + DRIVER_BYTES_PER_DOCUMENT * documents),
        output=round(sample.texts * scale * (rate.bytes_per_character if rate else BYTES_PER_CHARACTER)),
        objects=2 * files + 3,
        gets=sample.files + ceil(sample.size / READ_AHEAD) + 2 * files,
        puts=2 * files + 3 * files + 3,
    )
