"""``llmner plan``: what a run will take, from a sample of its inputs; nothing is started."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmner.config import JobConfig
from llmner.extraction.estimate import ASSUMPTIONS, Estimate, estimate
from llmner.extraction.rates import Rate, measure, recall, remember
from llmner.extraction.sampling import Sample, take_sample
from llmner.sources.files import find_files

MEASURED_SECONDS = 60.0


def run_plan(config: JobConfig, console: Console, *, measured: bool, price: float | None) -> None:
    """Say what a job will take.

    Args:
        config: The job.
        console: Where it is said.
        measured: Whether the models are loaded and measured here; their rate is kept for later plans.
        price: What an hour of a worker costs; None where nobody says.

    Raises:
        LlmnerError: The inputs cannot be listed, or a model cannot be loaded.
    """
    with console.status("reading a sample"):
        sample = take_sample(find_files(config.inputs, config.format), config)
    rate = recall(config)
    if measured:
        with console.status("measuring the models"):
            rate = measure(sample.rows, config, seconds=MEASURED_SECONDS)
        remember(rate, config)
    _say(console, sample, estimate(sample, config, rate), rate, price)


def _say(console: Console, sample: Sample, planned: Estimate, rate: Rate | None, price: float | None) -> None:
    read = f"{sample.read / max(1, sample.size):.0%} of {sample.size / 1e6:,.1f} MB"
    table = Table(title=f"{sample.files:,} files, {read} looked at", title_justify="left", show_header=False)
    for name, value in _rows(sample, planned, rate, price):
        table.add_row(name, Text(value))
    console.print(table)
    console.print("Assumed: " + "; ".join(ASSUMPTIONS) + ".", style="dim", soft_wrap=True, highlight=False)
    if rate is None:
        console.print(
            "No rate of these models is known: --measure, or a first run, says what time it takes.", soft_wrap=True
        )


def _rows(sample: Sample, p: Estimate, rate: Rate | None, price: float | None) -> list[tuple[str, str]]:
    rows = [("documents", f"{p.documents:,}")]
    if sample.rejected:
        rows.append(("of them cannot be read", f"{sample.rejected / sample.documents:.1%}"))
    rows += [
        ("sentences, for each tag set", f"{p.sentences:,}"),
        ("source tokens, for each tag set", f"{p.tokens:,}"),
    ]
    if rate is not None and p.hours is not None and p.worker_hours is not None:
        rows += [
            ("rate of a worker", f"{rate.tokens_per_second:,.0f} source tokens/s, measured {rate.measured}"),
            ("workers", f"{p.workers:,}"),
            ("hours of all workers", f"{p.worker_hours:,.2f}"),
            ("start and commit", f"{rate.start_seconds:,.0f} s"),
            ("time", f"{p.hours:,.2f} h" if p.hours >= 1 else f"{p.hours * 60:,.1f} min"),
            ("memory of a worker", f"{rate.memory / 1e9:,.1f} GB"),
        ]
    rows += [
        ("memory of the driver", f"{p.driver_memory / 1e9:,.1f} GB"),
        ("output", f"{p.output / 1e6:,.1f} MB in {p.objects:,} objects"),
        ("requests to storage", f"{p.gets:,} that read, {p.puts:,} that write"),
    ]
    if price is not None and p.worker_hours is not None:
        rows.append(("cost", f"{p.worker_hours * price:,.2f} at {price:g} an hour of a worker"))
    return rows
