"""The command line: options in, one call of ``commands``, an exit code out (see ``commands.outcome``)."""

import os
import sys
from typing import Annotated

import typer

from llmner.cli import extraction, looking, training
from llmner.commands import export, graph, lexicon
from llmner.commands.link import link
from llmner.commands.logs import Kind, log_to_stderr

# Ray reads these when it is imported. It prints a page for each lost worker, which our own lines count.
_QUIET_RAY = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^Task MapWorker|^A worker died or was killed",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(extraction.app)
app.add_typer(looking.app)
app.command()(link)
app.add_typer(lexicon.app, name="lexicon")
app.add_typer(export.app, name="export")
app.add_typer(graph.app, name="graph")
app.add_typer(training.app)


def run(*command: str) -> None:
    """Run a command with the options of this process; what ``jobs/`` calls."""
    app([*command, *sys.argv[1:]])


@app.callback()
def main(
    log_format: Annotated[Kind, typer.Option(help="How log lines look, on standard error.")] = "text",
) -> None:
    """Biomedical entity extraction with generative language models, at the scale of whole corpora."""
    log_to_stderr(log_format)
    for key, value in _QUIET_RAY.items():
        os.environ.setdefault(key, value)
