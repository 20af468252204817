"""``llmner extract``: a run with its progress, and at the end what came of it."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmner import storage
from llmner.commands.outcome import EXIT_INCOMPLETE, stops_on_signal
from llmner.commands.progress import shown
from llmner.config import JobConfig
from llmner.dataset.files import read_table
from llmner.dataset.manifest import Manifest
from llmner.dataset.schema import STATUSES
from llmner.documents import Row
from llmner.extraction.batches import extract_in_batches
from llmner.extraction.models import generator_of, selection_of
from llmner.extraction.rates import rate_of_run, remember
from llmner.extraction.run import Extracted
from llmner.report.highlight import highlight_page
from llmner.report.terminal import visible

logger = logging.getLogger(__name__)

PICTURE_DOCUMENTS = 50  # that the page shows
RATE_DOCUMENTS = 500  # that say how many tokens and bytes come to a character
SUMMARY_FILES = 20  # the table of frequent mentions looks at so many files


def run_extract(config: JobConfig, console: Console) -> int:
    """Run a job and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    started = time.monotonic()
    generator, selection = generator_of(config), selection_of(config)
    first: list[Row] = []

    def write_report(extracted: Extracted) -> None:
        rows = _first_documents(extracted)
        storage.write_whole(extracted.batch.report, highlight_page(rows).encode())
        first.extend(rows if len(first) < RATE_DOCUMENTS else [])

    with stops_on_signal(), shown(console) as on_progress:
        batches = extract_in_batches(
            config, generator=generator, selection=selection, on_progress=on_progress, on_batch=write_report
        )
    _remember_rate(batches, first, config, time.monotonic() - started)
    if len(batches) == 1:
        _say(console, batches[0])
    else:
        for extracted in batches:
            say_in_a_line(console, extracted)
    return EXIT_INCOMPLETE if any(map(is_incomplete, batches)) else 0


def say_in_a_line(console: Console, extracted: Extracted) -> None:
    """Say what came of one of several batches."""
    manifest = extracted.manifest
    counts = ", ".join(f"{manifest.counts[name]:,} {name}" for name in STATUSES if manifest.counts[name])
    lines = [f"Commit {manifest.commit:<6} {manifest.batch}: {counts or 'no documents'}"]
    lines += [f"Clashing      {clashes(manifest)}"] if manifest.clashes else []
    lines += [f"Broken        {i.error}" for i in manifest.inputs if i.error]
    for line in lines:
        console.print(visible(line), soft_wrap=True, markup=False, highlight=False)


def is_incomplete(extracted: Extracted) -> bool:
    """Return whether an input of a batch was broken, documents were rejected or failed, or have one identifier."""
    manifest = extracted.manifest
    bad = manifest.counts["failed"] or manifest.counts["rejected"] or manifest.clashes
    return bool(bad) or any(i.error for i in manifest.inputs)


def clashes(manifest: Manifest) -> str:
    """Say which documents gave way to others of their identifier."""
    more = ", ..." if manifest.clashes > len(manifest.clashing) else ""
    return (
        f"{manifest.clashes:,} documents have the identifier of a later one with another text, which took their place: "
        f"{', '.join(manifest.clashing)}{more}"
    )


def _first_documents(extracted: Extracted) -> list[Row]:
    """Return the documents that the page shows."""
    rows: list[Row] = []
    for name in extracted.manifest.names:
        rows += read_table(storage.join(extracted.batch.documents, name)).slice(0, PICTURE_DOCUMENTS).to_pylist()
        if len(rows) >= PICTURE_DOCUMENTS:
            break
    rows.sort(key=lambda row: row["record"])
    return rows[:PICTURE_DOCUMENTS]


def _remember_rate(batches: Sequence[Extracted], documents: Sequence[Row], config: JobConfig, seconds: float) -> None:
    """Keep how fast the run was, for later plans."""
    rate = rate_of_run([b.progress for b in batches], documents, config, seconds=seconds)
    if rate is not None:
        try:
            remember(rate, config)
        except OSError as e:
            logger.warning("how fast the run was could not be kept for later plans: %s", e)


def _frequent(extracted: Extracted) -> dict[tuple[str, str], Counter[str]]:
    """Count the mentions of the first files by tag set and type."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for name in extracted.manifest.names[:SUMMARY_FILES]:
        table = read_table(storage.join(extracted.batch.mentions, name), ["tag_set", "type", "text"])
        for tag_set, type_, text in zip(*(column.to_pylist() for column in table.columns), strict=True):
            found.setdefault((tag_set, type_), Counter())[text] += 1
    return dict(sorted(found.items()))


def _say(console: Console, extracted: Extracted) -> None:
    manifest, batch, p = extracted.manifest, extracted.batch, extracted.progress
    mentions = Table(title="Mentions", title_justify="left")
    for heading in ("tag set", "type", "mentions", "most frequent"):
        mentions.add_column(heading, justify="right" if heading == "mentions" else "left", overflow="fold")
    for (tag_set, type_), texts in _frequent(extracted).items():
        frequent = ", ".join(f"{text} ({n})" for text, n in texts.most_common(5))
        mentions.add_row(Text(tag_set), Text(type_), f"{texts.total():,}", Text(visible(frequent)))
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
            console.print(visible(f"Broken     {i.error}"), soft_wrap=True, markup=False)
    if manifest.clashes:
        console.print(visible(clashes(manifest)), style="bold red", soft_wrap=True, markup=False)
    if bad := manifest.counts["rejected"] + manifest.counts["failed"]:
        message = f"{bad:,} of {manifest.counts['documents']:,} documents were rejected or failed"
        console.print(message, style="bold red", soft_wrap=True, markup=False)
    for name, number in manifest.reasons.items():
        console.print(f"  {name}  {number:,}", soft_wrap=True, markup=False)
    if extracted.already_done:
        console.print(f"Batch {batch.name} was done before; nothing was written.", soft_wrap=True, markup=False)
    console.print(
        f"Documents  {batch.documents}\nMentions   {batch.mentions}\nPicture    {batch.report}",
        soft_wrap=True,
        markup=False,
    )
