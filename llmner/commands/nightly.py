"""``llmner nightly`` and ``llmner retry-failed``: each batch as it is committed, then what is left for later."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rich.console import Console

from llmner.commands.extract import is_incomplete, say_in_a_line
from llmner.commands.outcome import EXIT_INCOMPLETE, stops_on_signal
from llmner.commands.progress import shown
from llmner.config import JobConfig
from llmner.extraction.models import generator_of, selection_of
from llmner.extraction.nightly import Night, nightly
from llmner.extraction.retry import MAX_TRIES, Retried, retry_failed

Done = TypeVar("Done", Night, Retried)


def run_retry_failed(config: JobConfig, console: Console) -> int:
    """Try again what failed and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    retried = _run(retry_failed, config, console)
    for commit, documents in retried.given_up.items():
        _print(console, f"Given up      {documents:,} documents of commit {commit}, after {MAX_TRIES} tries")
    return _exit_code(retried, console, nothing="Nothing to try again.")


def run_nightly(config: JobConfig, console: Console, *, baseline: bool) -> int:
    """Bring a data set up to date and say what came of it.

    Returns:
        The exit code: 0, or ``EXIT_INCOMPLETE``.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed.
    """
    return _exit_code(_run(partial(nightly, baseline=baseline), config, console), console, nothing="Nothing new.")


def _run(work: Callable[..., Done], config: JobConfig, console: Console) -> Done:
    """Make batches, saying each as it is committed, and then what is left."""
    generator, selection = generator_of(config), selection_of(config)
    with stops_on_signal(), shown(console) as on_progress:
        done = work(
            config,
            generator=generator,
            selection=selection,
            on_progress=on_progress,
            on_batch=partial(say_in_a_line, console),
        )
    for error in done.left:
        _print(console, f"Left          {error}")
    return done


def _exit_code(done: Night | Retried, console: Console, *, nothing: str) -> int:
    """Return the exit code; where there was nothing to do, say so."""
    if not done.batches and not done.left:
        _print(console, nothing)
    return EXIT_INCOMPLETE if done.left or any(map(is_incomplete, done.batches)) else 0


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)
