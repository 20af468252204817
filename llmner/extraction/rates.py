"""How fast a job's models are, measured on the documents of a sample or by a run, and what was measured before.

Invariant: a rate is of one worker of one kind in a pipeline, and says when and on what it was measured.
"""

import hashlib
import platform
import resource
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from llmner.annotator import Step
from llmner.config import JobConfig
from llmner.cores import available_cores
from llmner.dataset.publish import flatten
from llmner.dataset.schema import DOCUMENT_SCHEMA
from llmner.documents import Row
from llmner.extraction.counts import Progress
from llmner.extraction.models import generator_of, load_judge, load_tagger, selection_of
from llmner.extraction.sampling import tagged
from llmner.models.cache import cache_root

_RATES = "rates"  # folder in the cache
# Of a bare engine's speed that is left in a pipeline, and what a run takes beside its models; see docs/benchmarks.md.
PIPELINE = 0.87
RAY_SECONDS = 20.0
LEAST_SECONDS = 20.0  # of a run that says something


class Rate(BaseModel):
    """What a worker does.

    Attributes:
        measured: When and on what.
        tokens_per_second: Source tokens, a tag set after the other.
        tokens_per_character: By language.
        start_seconds: What a run takes beside the work of its models: the start of Ray and of the models, the commit.
        memory: Bytes that a worker's process took at most.
        bytes_per_character: Of the files of documents and mentions, for each character of the texts.
    """

    model_config = ConfigDict(frozen=True)

    measured: str
    tokens_per_second: float
    tokens_per_character: dict[str, float]
    start_seconds: float
    memory: int
    bytes_per_character: float


def measure(rows: Sequence[Row], config: JobConfig, *, seconds: float) -> Rate:
    """Load a job's models into this process, and tag documents for some time.

    Args:
        rows: Segmented documents; they are changed.
        config: The job.
        seconds: When to stop, after the call that is under way.

    Raises:
        ModelError: A model cannot be loaded.
    """
    started = time.monotonic()
    tag_sets, selection = config.load_tag_sets(), selection_of(config)
    steps: list[Step] = [load_tagger(generator_of(config), tag_sets)]
    steps += [load_judge(selection, tag_sets)] if selection is not None else []
    loaded = time.monotonic()
    done: list[Row] = []
    size = config.tag.rows_per_call
    # Documents of all files in each call, as far as there are.
    mixed = [row for i in range(-(-len(rows) // size)) for row in rows[i :: -(-len(rows) // size)]]
    for first in range(0, len(mixed), size):
        part = mixed[first : first + size]
        for step in steps:
            step([row for row in part if step.takes(row)])
        done += part
        if time.monotonic() - loaded > seconds:
            break
    speed = sum(row["source_tokens"] for row in done) / (time.monotonic() - loaded)
    return _rate(
        f"{_here(config)}, {len(done)} documents; a pipeline keeps {PIPELINE:.0%} of it",
        speed * PIPELINE,
        loaded - started + RAY_SECONDS,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        done,
        config,
    )


def rate_of_run(parts: Sequence[Progress], rows: Sequence[Row], config: JobConfig, *, seconds: float) -> Rate | None:
    """Return the rate of a run of this machine or cluster; None where it was too short or did not go smoothly.

    Args:
        parts: What was done, a batch each.
        rows: Some of the documents.
        config: The job.
        seconds: From its start to its end.
    """
    work = sum(p.seconds for p in parts)
    if work < LEAST_SECONDS or any(p.deaths or p.resumed for p in parts):
        return None
    workers = config.tag.actors[1]
    documents, tokens = sum(p.documents for p in parts), sum(p.source_tokens for p in parts)
    with_workers = f" with {workers} workers" if workers > 1 else ""
    return _rate(
        f"{_here(config)}, a run of {documents:,} documents{with_workers}",
        tokens / work / workers,
        seconds - work,
        max(p.memory for p in parts),
        rows,
        config,
    )


def _here(config: JobConfig) -> str:
    gpus = f" and {config.tag.gpus:g} GPU" if config.tag.gpus else ""
    return f"{datetime.now(UTC):%Y-%m-%d} on {available_cores()} cores of {platform.machine()}{gpus}"


def _rate(measured: str, speed: float, start: float, memory: int, rows: Sequence[Row], config: JobConfig) -> Rate:
    """Return a rate; tokens and bytes for a character are those of the documents."""
    tokens: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for row in rows:
        tokens[row["lang"]] += row["source_tokens"]
        characters[row["lang"]] += sum(length for _, length in tagged(row, config))
    return Rate(
        measured=measured,
        tokens_per_second=speed,
        tokens_per_character={lang: tokens[lang] / n for lang, n in characters.items() if n},
        start_seconds=start,
        memory=memory,
        bytes_per_character=_stored(rows) / max(1, sum(len(row["text"]) for row in rows)),
    )


def _stored(rows: Sequence[Row]) -> int:
    """Return the bytes of documents and their mentions as a data set stores them."""
    complete = [{**row, "run_id": "", "record": i} for i, row in enumerate(rows)]
    documents = pa.Table.from_pylist(complete, schema=DOCUMENT_SCHEMA)
    return sum(_parquet_size(table) for table in (documents, flatten(documents)))


def _parquet_size(table: pa.Table) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return int(sink.getvalue().size)


def remember(rate: Rate, config: JobConfig) -> Path:
    """Keep a rate for later plans of jobs with the same models on this machine; return the file."""
    path = _path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rate.model_dump_json(indent=1), encoding="utf-8")
    return path


def recall(config: JobConfig) -> Rate | None:
    """Return the rate that was kept for jobs with these models; None where there is none that can be read."""
    try:
        return Rate.model_validate_json(_path(config).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def _path(config: JobConfig) -> Path:
    """Return the file for the rate of a job's models: what is not among these makes them neither faster nor slower."""
    select = (config.select.mode, config.select.model) if config.select.mode != "off" else ()
    worker = (config.tag.gpus, config.tag.accelerator, config.tag.threads)
    models = (config.model, config.adapter, config.engine, config.dtype, config.open_bias)
    content = repr((models, select, worker, sorted(config.tag_sets.items())))
    return cache_root() / _RATES / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
