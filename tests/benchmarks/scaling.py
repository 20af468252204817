"""How the pipeline scales: with the number of workers, with the length of a run, and in requests to storage.

Workers: an engine that sleeps as long as a model would compute, 1 to 64 of it on this machine; documents/s once all
of them are at work, against as many engines that never wait, and the driver's share.
Blocks: an engine that answers at once, over many small blocks; memory of the driver and of Ray's head processes on the
way, and the driver's processor time for a block. What a block costs does not depend on how many documents are in it.
Requests: what a run asks of S3, by kind, for two numbers of files: so much for a run, and so much for each file.

    python tests/benchmarks/scaling.py [--workers 1,2,4,8,16,32,64] [--blocks 31250] [--files 20,40] [--json FILE]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import chdir
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import boto3
import psutil
import ray
import typer
from moto.moto_api import recorder
from moto.server import ThreadedMotoServer
from rich.console import Console
from rich.table import Table

from llmner.config import JobConfig
from llmner.extraction.counts import Progress
from llmner.extraction.models import Loadable
from llmner.extraction.run import extract
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingRequest, TaggingResult

Row = dict[str, Any]

TEXT = "Serum creatinine of patient {n} fell, and no case of ketoacidosis was seen under dapagliflozin at 10 mg a day."
SERVICE = 0.25  # seconds a document: a worker on a GPU that does four a second
AT_WORK = 60  # seconds that each worker has work for
BLOCK = 32  # documents, as by default
SMALL_BLOCK = 4  # documents; many blocks in little time
SAMPLES = 10  # rows of the table of the memory
HEAD = ("gcs_server", "raylet")  # Ray's processes on the head whose memory is looked at


class ScriptedEngine:
    """Takes its time for each sentence; the first word of each is a mention."""

    fingerprint = {"model": "scripted"}  # noqa: RUF012

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """See ``Engine.tag``."""
        time.sleep(self._seconds * len(requests))
        return [TaggingResult((Mention(0, 5, r.tag_set.types[0].name),), 30, 30) for r in requests]


class Watch:
    """Looks about once a second at a run's progress and at the processes behind it."""

    def __init__(self) -> None:
        self._driver = psutil.Process()
        self._head = [p for p in self._driver.children(recursive=True) if p.name() in HEAD]
        self.rows: list[Row] = []

    def __call__(self, progress: Progress) -> None:
        """Note what is seen now."""
        used = self._driver.cpu_times()
        memory = {f"{p.name()} MB": p.memory_info().rss / 2**20 for p in (self._driver, *self._head)}
        row = {"seconds": time.monotonic(), "documents": progress.documents, "cpu": used.user + used.system}
        self.rows.append(row | memory)


def main(
    workers: Annotated[str, typer.Option(help="Numbers of workers; empty leaves them out.")] = "1,2,4,8,16,32,64",
    blocks: Annotated[
        int, typer.Option(help="Blocks for the memory; 0 leaves it out. 31,250 are 1 M documents.")
    ] = 31250,
    files: Annotated[str, typer.Option(help="Two numbers of files for the requests; empty leaves them out.")] = "20,40",
    output: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
    alone: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Measure and print all three, each run in a process of its own."""
    if alone:
        assert output is not None
        output.write_text(json.dumps(_run(**json.loads(alone))), encoding="utf-8")
        return
    figures: dict[str, list[Row]] = {}
    if workers:
        counts = map(int, workers.split(","))
        figures["workers"] = _show(
            [_scaled(n, _alone(n, round(n * AT_WORK / SERVICE), BLOCK, SERVICE)) for n in counts]
        )
    if blocks:
        figures["blocks"] = _show(_growth(_alone(2, blocks * SMALL_BLOCK, SMALL_BLOCK, 0.0)))
    if files:
        figures["requests"] = _show(_requests(*map(int, files.split(","))))
    if output is not None:
        output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _alone(workers: int, documents: int, block: int, service: float, **more: Any) -> list[Row]:
    given = {"workers": workers, "documents": documents, "block": block, "service": service, **more}
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "seen.json"  # Ray writes to the terminal whatever it likes
        command = [sys.executable, str(Path(__file__).resolve()), "--alone", json.dumps(given), "--json", str(seen)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        rows: list[Row] = json.loads(seen.read_text(encoding="utf-8"))
    return rows


def _run(workers: int, documents: int, block: int, service: float, output: str = "", in_file: int = 1000) -> list[Row]:
    """Run a job and return what was seen of it; the last row is from its end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        for f in range(10):
            lines = (json.dumps({"id": str(i), "text": TEXT.format(n=i)}) + "\n" for i in range(f, documents, 10))
            (folder / "in" / f"{f}.jsonl").write_text("".join(lines), encoding="utf-8")
        config = JobConfig(
            inputs=(str(folder / "in"),),
            output=output or str(folder / "out"),
            tag_sets={"en": ("bc5cdr",)},
            tag={"actors": (workers, workers), "rows_per_call": block},
            documents_per_file=in_file,
        )
        # Sleeping workers take no core; the other stages have eight slots.
        ray.init(
            "local", num_cpus=workers + 8, object_store_memory=1 << 30, include_dashboard=False, log_to_driver=False
        )
        watch = Watch()
        generator = Loadable(partial(ScriptedEngine, service), ScriptedEngine.fingerprint)
        extract(config, generator=generator, on_progress=watch)
        return watch.rows


def _between(rows: Sequence[Row], first: float, last: float) -> tuple[Row, Row]:
    """The rows nearest to two parts of the documents, as fractions."""
    total = rows[-1]["documents"]
    one, other = (min(rows, key=lambda r: abs(r["documents"] - part * total)) for part in (first, last))
    return one, other


def _scaled(workers: int, rows: Sequence[Row]) -> Row:
    first, last = _between(rows, 0.4, 0.9)  # all workers are at work
    seconds, documents = last["seconds"] - first["seconds"], last["documents"] - first["documents"]
    rate, ideal, used = documents / seconds, workers / SERVICE, last["cpu"] - first["cpu"]
    row = {"workers": workers, "documents/s": rate, "ideal": ideal, "of it %": 100 * rate / ideal}
    return row | {"driver's core %": 100 * used / seconds, "driver ms a block": 1000 * used / (documents / BLOCK)}


def _growth(rows: Sequence[Row]) -> list[Row]:
    found = []
    for part in range(1, SAMPLES + 1):
        before, now = _between(rows, (part - 1) / SAMPLES, part / SAMPLES)
        blocks, seconds = (now["documents"] - before["documents"]) / SMALL_BLOCK, now["seconds"] - before["seconds"]
        row = {"blocks": now["documents"] / SMALL_BLOCK, "blocks/s": blocks / max(1.0, seconds)}
        row["driver ms a block"] = 1000 * (now["cpu"] - before["cpu"]) / max(1, blocks)
        found.append(row | {name: value for name, value in now.items() if name.endswith(" MB")})
    return found


def _requests(few: int, many: int) -> list[Row]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ |= {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester"}
    boto3.client("s3").create_bucket(Bucket="results")
    counts: list[Counter[str]] = []
    for files in (few, many):
        with tempfile.TemporaryDirectory() as folder, chdir(folder):  # where the recording is kept
            recorder.reset_recording()
            recorder.start_recording()
            _alone(2, files * 64, BLOCK, 0.0, output=f"s3://results/{files}", in_file=64)
            recorder.stop_recording()
            asked = _recorded(recorder.download_recording())
            counts.append(Counter(_kind(r["method"], r["url"]) for r in asked))
    server.stop()
    each = {kind: (counts[1][kind] - counts[0][kind]) / (many - few) for kind in sorted(counts[0] | counts[1])}
    return [{"request": kind, "a file": n, "a run": counts[0][kind] - few * n} for kind, n in each.items()]


def _recorded(text: str) -> Iterator[Row]:
    """Yield the requests of a recording; where threads wrote at the same time, there is no line end between them."""
    place = 0
    while text[place:].strip():
        place += len(text[place:]) - len(text[place:].lstrip())
        request, place = json.JSONDecoder().raw_decode(text, place)
        yield request


def _kind(method: str, url: str) -> str:
    listing = "list-type" in url or "?prefix" in url
    return "LIST" if listing else "PUT" if method == "POST" else method


def _show(rows: list[Row]) -> list[Row]:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(value if isinstance(value, str) else f"{value:,.1f}" for value in row.values()))
    Console(width=110).print(table)
    return rows


if __name__ == "__main__":
    typer.run(main)
