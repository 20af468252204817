"""A training in the background: started once, paused while somebody is busy, stopped with a checkpoint."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml
from tiny_training import prepare, settings

from llmner.training.background import busy, start
from llmner.training.trainer import last_checkpoint

JOB = Path(__file__).parents[2] / "jobs" / "train_generator.py"


def wait(condition, seconds=240.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_once_pauses_and_stops_with_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMNER_RUNS", str(tmp_path))
    prepare(tmp_path, "llama")
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path, "run", steps=100000, decay=0)))
    command, folder = [str(JOB), f"--config={config}", f"--output={tmp_path / 'run'}", "--pause"], tmp_path / "run"
    with busy():
        pid, started = start(command, folder, processes=1)
        process = psutil.Process(pid)
        try:
            assert started
            assert start(command, folder, processes=1) == (pid, False)
            wait(lambda: "pausing before step 1" in (folder / "log.txt").read_text())
            assert process.nice() == 19
            assert last_checkpoint(folder) is None
        except BaseException:
            process.kill()
            raise
    try:
        wait(lambda: last_checkpoint(folder) is not None)
        os.kill(pid, signal.SIGTERM)
        process.wait(120)
    finally:
        if process.is_running():
            process.kill()
    assert "stopped after step" in (folder / "log.txt").read_text()
    newest = int(last_checkpoint(folder).name.split("-")[1])
    pid, started = start([*command, f"--steps={newest + 3}"], folder, processes=1)
    assert started
    psutil.Process(pid).wait(240)
    assert f"from step {newest} of {newest + 3}" in (folder / "log.txt").read_text()
