"""``llmner nightly`` and ``llmner retry-failed``: each batch as it is committed, then what is left for later."""

from rich.console import Console

from llmner.commands.extract import is_incomplete
from llmner.commands.outcome import EXIT_INCOMPLETE, stops_on_signal
from llmner.commands.progress import shown
from llmner.config import JobConfig
from llmner.extraction.models import generator_of, selection_of
from llmner.extraction.nightly import nightly
from llmner.extraction.retry import MAX_TRIES, retry_failed
from llmner.extraction.run import Extracted

_SHOWN = ("ok", "empty", "unchanged", "withdrawn", "rejected", "failed")


def run_retry_failed(config: JobConfig, console: Console) -> int:
    """Try again what failed and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    generator, selection = generator_of(config), selection_of(config)
    with stops_on_signal(), shown(console) as on_progress:
        retried = retry_failed(
            config,
            generator=generator,
            selection=selection,
            on_progress=on_progress,
            on_batch=lambda extracted: _say(console, extracted),
        )
    for error in retried.left:
        _print(console, f"Left          {error}")
    for commit, documents in retried.given_up.items():
        _print(console, f"Given up      {documents:,} documents of commit {commit}, after {MAX_TRIES} tries")
    if not retried.batches and not retried.left:
        _print(console, "Nothing to try again.")
    return EXIT_INCOMPLETE if retried.left or any(map(is_incomplete, retried.batches)) else 0


def run_nightly(config: JobConfig, console: Console, *, baseline: bool) -> int:
    """Bring a data set up to date and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    generator, selection = generator_of(config), selection_of(config)
    with stops_on_signal(), shown(console) as on_progress:
        night = nightly(
            config,
            generator=generator,
            selection=selection,
            on_progress=on_progress,
            on_batch=lambda extracted: _say(console, extracted),
            baseline=baseline,
        )
    for error in night.left:
        _print(console, f"Left          {error}")
    if not night.batches and not night.left:
        _print(console, "Nothing new.")
    return EXIT_INCOMPLETE if night.left or any(map(is_incomplete, night.batches)) else 0


def _say(console: Console, extracted: Extracted) -> None:
    manifest = extracted.manifest
    counts = ", ".join(f"{manifest.counts[name]:,} {name}" for name in _SHOWN if manifest.counts[name])
    _print(console, f"Commit {manifest.commit:<6} {manifest.batch}: {counts or 'no documents'}")
    for i in manifest.inputs:
        if i.error:
            _print(console, f"Broken        {i.error}")


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)
