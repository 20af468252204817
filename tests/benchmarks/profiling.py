"""Where the time of the engine and of the pipeline goes, as two pictures.

Engine: seconds of each kind of work in passes over dev sentences, by torch's profiler; what the operators do not take
is Python: grammar, drafts, the schedule, and what the profiler costs. Pipeline: processor seconds of each kind of
process of a job, sampled.

    python tests/benchmarks/profiling.py --data FOLDER [--sentences 60] [--documents 60] [--output docs]

FOLDER holds the corpora as ``<corpus>/dev.jsonl``.
"""

import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import psutil
import torch
import typer
from decoding import CORPORA, dev_requests
from pipeline import job, write_corpus
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from llmner.extraction.models import generator_of
from llmner.extraction.run import extract
from llmner.models import loading
from llmner.models.registry import generator_spec
from llmner.report.plots import shares_plot
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.local_engine import LocalEngine

ELEMENTWISE = (
    "gelu",
    "mul",
    "add",
    "sub",
    "div",
    "neg",
    "abs",
    "clamp",
    "round",
    "amax",
    "mean",
    "sum",
    "pow",
    "rsqrt",
    "cos",
    "sin",
    "where",
)
OPERATORS = {
    "matrix products": ("mm", "addmm", "bmm", "_int_mm", "mkldnn_linear", "linear", "matmul"),
    "norms, activation, scales": ELEMENTWISE,
}
ATTENTION, MOVING, PYTHON = "attention", "copies and conversions", "Python"
WORK = (*OPERATORS, ATTENTION, MOVING, PYTHON)
PROCESSES = ("the model's worker", "other stages", "driver", "Ray's own")


def main(
    data: Annotated[Path, typer.Option(help="Folder of the corpora.")],
    sentences: Annotated[int, typer.Option(help="Sentences for the engine.")] = 60,
    documents: Annotated[int, typer.Option(help="Documents for the pipeline.")] = 60,
    types: Annotated[str, typer.Option(help="Number types of the engine.")] = "bfloat16,int8",
    output: Annotated[Path, typer.Option(help="Folder to write the pictures to.")] = Path("docs"),
) -> None:
    """Measure, print and draw."""
    requests = dev_requests(data, sentences // len(CORPORA))
    engine = {f"engine, {dtype}": _engine(dtype, requests) for dtype in types.split(",")}
    pipeline = {f"pipeline, {documents} documents": _pipeline(documents)}
    for name, rows, parts in (("engine_profile", engine, WORK), ("pipeline_profile", pipeline, PROCESSES)):
        (output / f"{name}.svg").write_text(shares_plot(rows, parts), encoding="utf-8")
        for row, shares in rows.items():
            told = ", ".join(f"{part} {shares[part] / 10:.1f} %" for part in parts)
            Console(width=110).print(f"{row}: {told}")


def _engine(dtype: str, requests: list[TaggingRequest]) -> dict[str, int]:
    """Return thousandths of the time for each kind of work."""
    spec = generator_spec()
    model, tokenizer = loading.load_packed(spec.base, spec.adapter, dtype, "cpu")
    engine = LocalEngine(model, tokenizer, fingerprint={}, form=spec.form)
    engine.tag(requests[:: len(requests) // 3])
    with profile(activities=[ProfilerActivity.CPU]) as measured:
        started = time.perf_counter()
        engine.tag(requests)
        whole = (time.perf_counter() - started) * 1e6
    microseconds: Counter[str] = Counter()
    for operator in measured.key_averages():
        microseconds[_work(operator.key.removeprefix("aten::").rstrip("_"))] += operator.self_cpu_time_total
    microseconds[PYTHON] = whole - microseconds.total()
    return {part: round(1000 * microseconds[part] / whole) for part in WORK}


def _work(operator: str) -> str:
    if operator.startswith("_scaled_dot_product"):  # its name ends in what computes it
        return ATTENTION
    return next((work for work, names in OPERATORS.items() if operator in names), MOVING)


def _pipeline(documents: int) -> dict[str, int]:
    """Return thousandths of the processor time for each kind of process, start and loading included."""
    me = psutil.Process()
    before = sum(me.cpu_times()[:2])
    spent: dict[int, tuple[str, float]] = {}
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.5):
            for process in (me, *me.children(recursive=True)):
                try:
                    spent[process.pid] = (_kind(process, me), sum(process.cpu_times()[:2]) - before * (process == me))
                except psutil.Error:  # it ended meanwhile; what it had spent is kept
                    continue

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = job(folder)
        write_corpus(folder / "in", documents, files=1)
        watch = threading.Thread(target=sample)
        watch.start()
        try:
            extract(config, generator=generator_of(config))
        finally:
            ended.set()
            watch.join()
    seconds: Counter[str] = Counter()
    for kind, own in spent.values():
        seconds[kind] += own
    return {kind: round(1000 * seconds[kind] / seconds.total()) for kind in PROCESSES}


def _kind(process: psutil.Process, driver: psutil.Process) -> str:
    if process.pid == driver.pid:
        return "driver"
    title = " ".join(process.cmdline())
    if not title.startswith("ray::"):
        return "Ray's own"
    return "the model's worker" if "ModelStage" in title else "other stages"


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    typer.run(main)
