"""A job as people start it: the pipeline with a model by name, progress, and at the end what came of it."""

import logging
import os
from collections import Counter
from functools import partial

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from llmner import storage
from llmner.commands.outcome import EXIT_INCOMPLETE
from llmner.config import JobConfig
from llmner.extraction.commit import STATUSES
from llmner.extraction.dataset import Batch, Manifest
from llmner.extraction.pipeline import Extracted, extract
from llmner.extraction.progress import shown
from llmner.extraction.selecting import Selection
from llmner.models.loading import load_engine, load_vllm_engine
from llmner.models.registry import generator_spec
from llmner.models.spec import GeneratorSpec
from llmner.report.highlight import highlight_page
from llmner.selection.selector import load_selector, read_settings, selector_spec
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)

PICTURE_DOCUMENTS = 50
SUMMARY_FILES = 20  # the table of frequent mentions looks at so many files


def run_job(config: JobConfig, console: Console) -> int:
    """Run a job and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    spec = generator_spec(
        config.model,
        adapter=config.adapter,
        adapters=config.adapters,
        open_bias=config.open_bias,
        dtype=config.dtype,
        grammar=config.engine == "local" or config.vllm.grammar,
    )
    selection = _selection(config)
    with shown(console) as on_progress:
        extracted = extract(
            config, partial(load, config, spec), spec.fingerprint(), selection=selection, on_progress=on_progress
        )
    picture = _picture(config.output, extracted.batch, extracted.manifest)
    _say(console, extracted, picture)
    broken = any(i.error for i in extracted.manifest.inputs)
    return EXIT_INCOMPLETE if broken or extracted.manifest.counts["failed"] else 0


def load(config: JobConfig, spec: GeneratorSpec) -> Engine:
    """Load a worker's engine, on all cores of its node if not told otherwise."""
    # Ray sets OMP_NUM_THREADS to the cores that it reserves; reading and writing next to the engine need little.
    threads = config.tag.threads or os.cpu_count()
    if config.engine == "vllm":
        os.environ["OMP_NUM_THREADS"] = str(threads)
        return load_vllm_engine(spec, config.vllm, gpus=config.tag.gpus)
    return load_engine(spec, threads=threads, gpus=config.tag.gpus)


def _selection(config: JobConfig) -> Selection | None:
    """The job's selection; None where none runs."""
    select = config.select
    if select.mode == "off":
        return None
    spec = selector_spec(select.model or config.model, dtype=config.dtype)
    settings = read_settings(spec.folder)
    unknown = sorted({t.name for sets in config.load_tag_sets().values() for t in sets} - set(settings.tuned))
    if select.mode == "on" and unknown:
        logger.warning(
            "selector %s was not trained on tag set %s and may drop right mentions there (mode: score-only drops none)",
            spec.name,
            ", ".join(unknown),
        )
    return Selection(
        factory=partial(load_selector, spec, threads=select.threads or os.cpu_count()),
        fingerprint=spec.fingerprint(),
        rules=settings.rules(select.threshold),
        mode=select.mode,
    )


def _picture(output: str, batch: Batch, manifest: Manifest) -> str:
    """Write the highlighted text of the first documents; its URL."""
    rows = []
    for file in manifest.files:
        fs, path = storage.arrow_file_system(storage.join(batch.documents, file.name))
        rows += pq.ParquetFile(path, filesystem=fs).read().slice(0, PICTURE_DOCUMENTS).to_pylist()
        if len(rows) >= PICTURE_DOCUMENTS:
            break
    rows.sort(key=lambda row: row["record"])
    url = storage.join(storage.absolute_url(output), f"report-{batch.name}.html")
    storage.write_whole(url, highlight_page(rows[:PICTURE_DOCUMENTS]).encode())
    return url


def _frequent(batch: Batch, manifest: Manifest) -> dict[tuple[str, str], Counter[str]]:
    """Mentions by tag set and type, from the first files."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for file in manifest.files[:SUMMARY_FILES]:
        fs, path = storage.arrow_file_system(storage.join(batch.mentions, file.name))
        table = pq.ParquetFile(path, filesystem=fs).read(columns=["tag_set", "type", "text"])
        for tag_set, type_, text in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
            found.setdefault((tag_set, type_), Counter())[text] += 1
    return dict(sorted(found.items()))


def _say(console: Console, extracted: Extracted, picture: str) -> None:
    manifest, batch, p = extracted.manifest, extracted.batch, extracted.progress
    mentions = Table(title="Mentions", title_justify="left")
    for heading in ("tag set", "type", "mentions", "most frequent"):
        mentions.add_column(heading, justify="right" if heading == "mentions" else "left", overflow="fold")
    for (tag_set, type_), texts in _frequent(batch, manifest).items():
        frequent = ", ".join(f"{text} ({n})" for text, n in texts.most_common(5))
        mentions.add_row(tag_set, type_, f"{texts.total():,}", frequent)
    console.print(mentions)
    counts = Table(title="Documents", title_justify="left", show_header=False)
    for name in ("records", "superseded", "documents", *STATUSES):
        counts.add_row(name, f"{manifest.counts[name]:,}")
    counts.add_row("mentions", f"{manifest.counts['mentions']:,}")
    if p.seconds:
        rate = f"{p.documents / p.seconds:,.1f} documents/s, {p.source_tokens / p.seconds:,.0f} source tokens/s"
        counts.add_row("rate", rate)
    console.print(counts)
    for i in manifest.inputs:
        if i.error:
            console.print(f"Broken     {i.error}", soft_wrap=True, markup=False)
    if extracted.already_done:
        console.print(f"Batch {batch.name} was done before; nothing was written.", soft_wrap=True)
    console.print(f"Documents  {batch.documents}\nMentions   {batch.mentions}\nPicture    {picture}", soft_wrap=True)
