"""How the pipeline scales: with the number of workers, and with the number of documents.

Workers: an engine that sleeps as long as a model would compute, 1 to 64 of it on this machine; documents/s once all
of them are at work, against the same number of engines that never wait, and the driver's share.
Documents: an engine that answers at once; the memory of the driver and of Ray's head processes on the way, and the
driver's processor time for a block.

    python tests/benchmarks/scaling.py [--workers 1,2,4,8,16,32,64] [--documents 1000000] [--json FILE]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import psutil
import ray
import typer
from rich.console import Console
from rich.table import Table

from llmner.config import JobConfig
from llmner.extraction.counts import Progress
from llmner.extraction.models import Loadable
from llmner.extraction.run import extract
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingRequest, TaggingResult

TEXT = "Serum creatinine of patient {n} fell, and no case of ketoacidosis was seen under dapagliflozin at 10 mg a day."
SERVICE = 0.25  # seconds a document: what 4 documents/s of a worker on a GPU are
AT_WORK = 60  # seconds that each worker has work for
BATCH = 32  # documents
SAMPLES = 12  # rows of the table of the memory
HEAD = ("gcs_server", "raylet")  # Ray's processes on the head whose memory is looked at


class ScriptedEngine:
    """Takes its time for each sentence; the first word of each is a mention."""

    fingerprint = {"model": "scripted"}  # noqa: RUF012

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """See ``Engine.tag``."""
        time.sleep(self._seconds * len(requests))
        mention = partial(Mention, 0, 5)
        return [TaggingResult((mention(r.tag_set.types[0].name),), 30, 30) for r in requests]


class Samples:
    """What was seen about once a second: a run's progress, and the processes behind it."""

    def __init__(self) -> None:
        self._driver = psutil.Process()
        named = {p.info["name"]: p for p in psutil.process_iter(["name"]) if p.info["name"] in HEAD}
        self._head = [named[name] for name in HEAD]
        self.rows: list[dict[str, float]] = []

    def __call__(self, progress: Progress) -> None:
        used = self._driver.cpu_times()
        row = {"seconds": time.monotonic(), "documents": progress.documents, "cpu": used.user + used.system}
        row["driver MB"] = self._driver.memory_info().rss / 2**20
        row |= {f"{p.name()} MB": p.memory_info().rss / 2**20 for p in self._head}
        self.rows.append(row)

    def between(self, first: float, last: float) -> tuple[dict[str, float], dict[str, float]]:
        """The samples nearest to two parts of the documents, as fractions."""
        total = self.rows[-1]["documents"]
        return tuple(min(self.rows, key=lambda r: abs(r["documents"] - part * total)) for part in (first, last))


def main(
    workers: Annotated[str, typer.Option(help="Numbers of workers; empty leaves them out.")] = "1,2,4,8,16,32,64",
    documents: Annotated[int, typer.Option(help="Documents for the memory; 0 leaves it out.")] = 1_000_000,
    output: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
    alone: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure and print both, each run in a process of its own."""
    if alone:
        count, service, size = alone.split(",")
        sys.stdout.write(json.dumps(_run(int(count), float(service), int(size))) + "\n")
        return
    rows: dict[str, list[dict[str, float]]] = {"workers": [], "documents": []}
    for count in map(int, workers.split(",") if workers else ()):
        rows["workers"].append(_scaled(count, _alone(count, SERVICE, round(count * AT_WORK / SERVICE))))
        _show(rows["workers"])
    if documents:
        rows["documents"] = _growth(_alone(2, 0.0, documents))
        _show(rows["documents"])
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _alone(workers: int, service: float, documents: int) -> Samples:
    command = [sys.executable, __file__, "--alone", f"{workers},{service},{documents}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    samples = Samples.__new__(Samples)
    samples.rows = json.loads(done.stdout.splitlines()[-1])
    return samples


def _run(workers: int, service: float, documents: int) -> list[dict[str, float]]:
    """Samples of one run; the last is taken after its commit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for f in range(10):
            with (folder / "in" / f"{f}.jsonl").open("w", encoding="utf-8") as lines:
                lines.writelines(
                    json.dumps({"id": str(i), "text": TEXT.format(n=i)}) + "\n" for i in range(f, documents, 10)
                )
        config = JobConfig(
            inputs=(str(folder / "in"),),
            output=str(folder / "out"),
            tag_sets={"en": ("bc5cdr",)},
            tag={"actors": (workers, workers), "rows_per_call": BATCH},
        )
        logical = workers + 8  # sleeping workers take no core; the other stages have eight slots
        ray.init(
            address="local", num_cpus=logical, object_store_memory=1 << 30, include_dashboard=False, log_to_driver=False
        )
        samples = Samples()
        generator = Loadable(partial(ScriptedEngine, service), ScriptedEngine.fingerprint)
        extract(config, generator=generator, on_progress=samples)
        return samples.rows


def _scaled(workers: int, samples: Samples) -> dict[str, float]:
    first, last = samples.between(0.4, 0.9)  # all workers are at work
    seconds, documents = last["seconds"] - first["seconds"], last["documents"] - first["documents"]
    rate, ideal = documents / seconds, workers / SERVICE
    used = last["cpu"] - first["cpu"]
    row = {"workers": workers, "documents/s": rate, "ideal": ideal, "of it %": 100 * rate / ideal}
    row |= {"driver's core %": 100 * used / seconds, "driver ms a block": 1000 * used / (documents / BATCH)}
    return row | {"driver MB": last["driver MB"]}


def _growth(samples: Samples) -> list[dict[str, float]]:
    rows = []
    first = samples.rows[0]
    for part in range(1, SAMPLES + 1):
        before, now = samples.between((part - 1) / SAMPLES, part / SAMPLES)
        documents, seconds = now["documents"] - before["documents"], now["seconds"] - before["seconds"]
        row = {"documents": now["documents"], "documents/s": documents / seconds if seconds else 0.0}
        row["driver ms a block"] = 1000 * (now["cpu"] - before["cpu"]) / max(1, documents / BATCH)
        rows.append(row | {name: now[name] for name in first if name.endswith(" MB")})
    return rows


def _show(rows: list[dict[str, float]]) -> None:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in row.values()))
    Console(width=110).print(table)


if __name__ == "__main__":
    typer.run(main)
