"""Jobs whose driver or workers are killed at random moments, and started again: the data set is the same."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from capital_words import run
from corpora import documents, mentions, text, write_jsonl
from ray.cluster_utils import Cluster

from llmner.commands.outcome import EXIT_STOPPED
from llmner.config import JobConfig
from llmner.dataset.reading import open_committed
from llmner.errors import JobFailedError
from llmner.extraction.counts import Progress

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]
KILLS = 10  # of workers
DRIVER_KILLS = 3
DOCUMENTS = 160
VICTIMS = ("MapWorker", "MapBatches", "Read", "Write", "RunState")
SECONDS = 0.04  # a sentence
STORE = 200 << 20  # bytes for the objects of a node


def job(corpus: Path, output: Path) -> JobConfig:
    values = {"inputs": [str(corpus)], "output": str(output), "tag": {"rows_per_call": 8}, "documents_per_file": 10}
    values |= {"stall_minutes": 1}  # Ray may stand still after it lost a worker
    return JobConfig.model_validate(values)


def program(config: JobConfig) -> list[str]:
    """The command of a driver of its own."""
    return [sys.executable, str(TESTS / "capital_words.py"), config.model_dump_json(), str(SECONDS)]


def workers(*names: str) -> list[psutil.Process]:
    """This process's Ray workers that are at such work."""
    return [p for p in psutil.Process().children(recursive=True) if _works(p, names)]


@pytest.fixture
def inputs(corpus: Path) -> Path:
    half = DOCUMENTS // 2
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(half)])
    write_jsonl(corpus / "b.jsonl", [text(i) for i in range(half, DOCUMENTS)], first=half - 3)  # three keys repeat
    return corpus


def same_data_sets(one: Path, other: Path) -> bool:
    same = documents(str(one)) == documents(str(other)) and mentions(str(one)) == mentions(str(other))
    dataset = open_committed(str(one))
    folders = [Path(dataset.layout.batch(m.batch).documents) for m in dataset.manifests]
    listed = {name for m in dataset.manifests for name in m.names}
    return same and {p.name for folder in folders for p in folder.iterdir()} == listed


@pytest.fixture
def processes() -> Iterator[list[psutil.Process]]:
    """Processes of killed drivers; those that do not end by themselves are ended."""
    started: list[psutil.Process] = []
    yield started
    _, alive = psutil.wait_procs(started, timeout=20)
    for process in alive:
        process.kill()


def entries(output: Path) -> set[str]:
    """What Ray's checkpoint says is done."""
    return {p.name for p in output.glob(".checkpoints/*/*/*.parquet") if "pending" not in p.name}


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("cluster")
def test_a_driver_killed_again_and_again(inputs: Path, tmp_path: Path, processes: list[psutil.Process]) -> None:
    run(job(inputs, tmp_path / "whole"))
    command = program(job(inputs, tmp_path / "killed"))
    rng = random.Random(7)
    killed = 0
    for _ in range(DRIVER_KILLS):
        driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if rng.random() < 0.7:  # in the middle of the work
            before = entries(tmp_path / "killed")
            while driver.poll() is None and entries(tmp_path / "killed") <= before:
                time.sleep(0.05)
            moment = rng.uniform(0, 4)
        else:
            moment = rng.uniform(0.5, 8)
        try:
            driver.wait(moment)
            break  # done before its time had come
        except subprocess.TimeoutExpired:
            processes += psutil.Process(driver.pid).children(recursive=True)
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            killed += 1
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert killed >= 2
    rows = open_committed(str(tmp_path / "killed")).documents.to_table(columns=["run_id"])
    runs = set(rows["run_id"].to_pylist())
    assert len(runs) > 1
    assert same_data_sets(tmp_path / "killed", tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".checkpoints/*"))


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("cluster")
def test_workers_killed_again_and_again(inputs: Path, tmp_path: Path) -> None:
    run(job(inputs, tmp_path / "whole"))
    rng = random.Random(11)
    killed: list[str] = []
    done = threading.Event()

    def kill() -> None:
        while len(killed) < KILLS and not done.wait(rng.uniform(0.8, 2.5)):
            if found := workers(*VICTIMS):
                victim = rng.choice(found)
                killed.append(victim.name())
                os.kill(victim.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(KILLS + 1):
            try:
                run(job(inputs, tmp_path / "killed"), SECONDS)
                break
            except JobFailedError:  # too many kills in a row before a file was done
                time.sleep(0.5)
    finally:
        done.set()
        killer.join()
    assert len(killed) >= KILLS // 2
    assert same_data_sets(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.usefixtures("cluster")
def test_a_run_whose_state_is_killed_goes_on_by_itself(inputs: Path, tmp_path: Path) -> None:
    killed: list[psutil.Process] = []

    def kill(progress: Progress) -> None:
        if progress.documents and not killed:
            killed.extend(workers("RunState"))
            for process in killed:
                process.kill()

    result = run(job(inputs, tmp_path / "killed"), SECONDS, on_progress=kill)
    assert killed
    assert result.manifest.counts["records"] == DOCUMENTS
    run(job(inputs, tmp_path / "whole"))
    assert same_data_sets(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.usefixtures("cluster")
def test_ctrl_c_ends_a_run_that_goes_on_where_it_was(inputs: Path, tmp_path: Path) -> None:
    command = program(job(inputs, tmp_path / "stopped"))
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while driver.poll() is None and not entries(tmp_path / "stopped"):
        time.sleep(0.05)
    assert driver.poll() is None, driver.communicate()[1][-3000:]
    os.killpg(driver.pid, signal.SIGINT)  # a terminal sends it to all processes of the command
    _, said = driver.communicate(timeout=120)
    assert driver.returncode == EXIT_STOPPED, said[-3000:]
    assert "the same command goes on" in said
    done = entries(tmp_path / "stopped")
    assert done
    result = run(job(inputs, tmp_path / "stopped"))
    assert result.progress.resumed >= 10
    run(job(inputs, tmp_path / "whole"))
    assert same_data_sets(tmp_path / "stopped", tmp_path / "whole")


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A head that cannot do the work alone; nodes are added to it."""
    cluster = Cluster(True, head_node_args={"num_cpus": 2, "include_dashboard": False, "object_store_memory": STORE})
    yield cluster
    cluster.shutdown()


@pytest.mark.usefixtures("cluster")
def test_a_node_that_dies_and_is_replaced(inputs: Path, tmp_path: Path, nodes: Cluster) -> None:
    command = program(job(inputs, tmp_path / "killed"))
    node = nodes.add_node(num_cpus=4, object_store_memory=STORE)
    environment = {**os.environ, "RAY_ADDRESS": nodes.address, "PYTHONPATH": str(TESTS)}
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while driver.poll() is None and not entries(tmp_path / "killed"):
        time.sleep(0.05)
    assert driver.poll() is None
    nodes.remove_node(node, allow_graceful=False)  # with all processes and objects on it
    nodes.add_node(num_cpus=4, object_store_memory=STORE)
    _, said = driver.communicate(timeout=250)
    assert driver.returncode == 0, said[-3000:]
    run(job(inputs, tmp_path / "whole"))
    assert same_data_sets(tmp_path / "killed", tmp_path / "whole")


def _works(process: psutil.Process, names: tuple[str, ...]) -> bool:
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return title.startswith("ray::") and any(name in title for name in names)
