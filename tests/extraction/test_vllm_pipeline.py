"""A job with vLLM from PubMed XML to Parquet: two workers, one of which loses its engine in the middle."""

import io
import threading
import time
from pathlib import Path

import psutil
import pytest
import tiny_models
from corpora import documents, pubmed_xml
from rich.console import Console

from llmner.commands.extract import run_extract
from llmner.config import JobConfig

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(2400)]

DOCUMENTS = 48


def job(corpus: Path, output: Path, model: str, **more: object) -> JobConfig:
    values = {"inputs": [str(corpus)], "output": str(output), "model": model, "tag_sets": {"en": ["bc5cdr"]}}
    return JobConfig.model_validate(values | {"documents_per_file": 10} | more)


def engines() -> list[psutil.Process]:
    """The engines that run; what one has forked looks like itself until it becomes another program."""
    found, parents = [], []
    for process in psutil.Process().children(recursive=True):
        try:
            if "VLLM::EngineCore" in f"{process.name()} {' '.join(process.cmdline())}":
                parents.append(process.ppid())
                found.append(process)
        except psutil.Error:
            continue
    return [process for process, parent in zip(found, parents, strict=True) if parent not in {p.pid for p in found}]


@pytest.mark.usefixtures("cluster")
def test_two_workers_give_what_the_local_engine_gives_though_one_loses_its_engine(corpus: Path, tmp_path: Path) -> None:
    model = tiny_models.save("llama", tmp_path / "model", head_width=32)
    half = DOCUMENTS // 2
    for name, first in (("a.xml", 1), ("b.xml", 1 + half)):
        (corpus / name).write_text(pubmed_xml(range(first, first + half)), encoding="utf-8")
    console = Console(file=io.StringIO())
    local = job(corpus, tmp_path / "local", model, dtype="float32", tag={"rows_per_call": 16})
    assert run_extract(local, console) == 0

    most, killed = 0, []
    done = threading.Event()

    def kill() -> None:
        nonlocal most
        while not done.wait(0.5):
            running = engines()
            most = max(most, len(running))
            if len(running) == 2 and not killed and list((tmp_path / "vllm").glob(".checkpoints/*/*/*.parquet")):
                killed.append(running[0].pid)
                running[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        config = job(
            corpus,
            tmp_path / "vllm",
            model,
            engine="vllm",
            dtype="float32",
            vllm={"window": 2048, "sequences": 4},
            tag={"actors": [2, 2], "rows_per_call": 4, "calls": 2},
        )
        assert run_extract(config, console) == 0
    finally:
        done.set()
        killer.join()
    assert most == 2
    assert killed
    ours, theirs = (documents(str(tmp_path / name)) for name in ("vllm", "local"))
    assert len(ours) == DOCUMENTS
    assert [row["status"] for row in ours] == [row["status"] for row in theirs]
    assert [_spans(row) for row in ours] == [_spans(row) for row in theirs]
    assert sum(len(row["mentions"]) for row in ours) > DOCUMENTS
    deadline = time.monotonic() + 60
    while engines() and time.monotonic() < deadline:  # they end with their workers
        time.sleep(1)
    assert engines() == []


def _spans(row: dict) -> list[tuple]:
    return [(m["start"], m["end"], m["type"], m["text"], m["match"]) for m in row["mentions"]]
