"""What the pipeline adds to the engine, and how it grows with the number of documents.

Overhead: documents/s of the pipeline, from its first batch to its last file, against a bare loop of the same engine
over the same batches of the same documents. The model's loading counts for neither.
Growth: an engine that answers at once, at two sizes, each in a process of its own; documents/s from the start of the
command to the end, without the start of Ray, and the peak of the driver's resident memory.

    python tests/benchmarks/pipeline.py [--documents 24] [--sizes 10000,200000] [--json FILE]
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from llmner.config import JobConfig
from llmner.extraction.cluster import own_ray
from llmner.extraction.models import Loadable, generator_of
from llmner.extraction.run import extract
from llmner.mentions import Mention
from llmner.segmentation import segment
from llmner.tagging.engine import TaggingRequest, TaggingResult

SENTENCES = (
    "Patients with chronic kidney disease received dapagliflozin at {n} mg once a day for 24 weeks.",
    "Serum creatinine fell by {n} percent, and no case of ketoacidosis was seen in the treated group.",
    "Expression of IL-6 and of the NF-kappa B p65 subunit was lower in peripheral blood monocytes (n = {n}).",
    "Nausea, dizziness and urinary tract infection were the most frequent adverse events.",
    "We conclude that early treatment delays heart failure in type 2 diabetes mellitus.",
)


class InstantEngine:
    """Answers at once: words with a digit in them are mentions."""

    fingerprint = {"model": "instant"}  # noqa: RUF012

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """See ``Engine.tag``."""
        return [TaggingResult(tuple(self._mentions(r)), len(r.text) // 5, len(r.text) // 5) for r in requests]

    def _mentions(self, request: TaggingRequest) -> Iterator[Mention]:
        for word in re.finditer(r"\S*\d\S*", request.text):
            yield Mention(word.start(), word.end(), request.tag_set.types[0].name)


def main(
    documents: Annotated[int, typer.Option(help="Documents for the overhead; 0 leaves it out.")] = 24,
    sizes: Annotated[str, typer.Option(help="Documents for the growth.")] = "10000,200000",
    adapter: Annotated[str | None, typer.Option(help="Another adapter than the embedded one.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
    alone: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Measure and print both."""
    if alone:
        sys.stdout.write(json.dumps(_growth(alone)) + "\n")
        return
    rows: list[dict[str, Any]] = []
    if documents:
        rows += _overhead(documents, adapter)
    for size in map(int, sizes.split(",")):
        command = [sys.executable, __file__, "--alone", str(size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    table = Table("", "documents", "seconds", "documents/s", "driver MB", "ratio")
    first: dict[str, float] = {}
    for row in rows:
        row["ratio"] = round(row["documents/s"] / first.setdefault(row["kind"], row["documents/s"]), 2)
        table.add_row(*(str(row[key]) for key in ("what", "documents", "seconds", "documents/s", "driver MB", "ratio")))
    Console(width=110).print(table)
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def write_corpus(folder: Path, documents: int, *, files: int) -> None:
    for f in range(files):
        with (folder / f"{f}.jsonl").open("w", encoding="utf-8") as lines:
            for i in range(f, documents, files):
                text = " ".join(SENTENCES[(i + k) % len(SENTENCES)].format(n=i % 97) for k in range(8))
                lines.write(json.dumps({"id": str(i), "text": f"Document {i}. {text}"}) + "\n")


def job(folder: Path, **more: Any) -> JobConfig:
    (folder / "in").mkdir()
    return JobConfig(inputs=(str(folder / "in"),), output=str(folder / "out"), **more)


def _overhead(documents: int, adapter: str | None) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = job(folder, adapter=adapter, tag={"rows_per_call": max(1, documents // 3)})
        generator = generator_of(config)
        write_corpus(folder / "in", documents, files=1)
        done = extract(config, generator=generator)
        piped = _row("overhead", "pipeline", documents, done.progress.seconds)
        lines = [line for f in sorted((folder / "in").iterdir()) for line in f.read_text("utf-8").splitlines()]
        texts = [json.loads(line)["text"] for line in lines]
    engine = generator.load()
    started = time.perf_counter()
    for first in range(0, len(texts), config.tag.rows_per_call):
        batch = texts[first : first + config.tag.rows_per_call]
        tag_sets = config.load_tag_sets()["en"]
        sentences = [t[start:end] for t in batch for start, end in segment(t, "en", max_length=config.max_sentence)]
        engine.tag([TaggingRequest(sentence, tag_set) for sentence in sentences for tag_set in tag_sets])
    return [_row("overhead", "engine alone", documents, time.perf_counter() - started), piped]


def _growth(documents: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, own_ray():
        folder = Path(name)
        config = job(folder)
        write_corpus(folder / "in", documents, files=10)
        started = time.perf_counter()
        extract(config, generator=Loadable(InstantEngine, InstantEngine.fingerprint))
        return _row("growth", "instant engine", documents, time.perf_counter() - started)


def _row(kind: str, what: str, documents: int, seconds: float) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"kind": kind, "what": what, "documents": documents, "seconds": round(seconds, 1)}
    return row | {"documents/s": round(documents / seconds, 2), "driver MB": round(peak)}


if __name__ == "__main__":
    typer.run(main)
