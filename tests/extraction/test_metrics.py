"""What Prometheus reads of a run at Ray's metrics port: the series that the dashboard names, with right values."""

import json
import re
import threading
import time
import urllib.request
from collections import defaultdict
from pathlib import Path

import pytest
import ray
from capital_words import run, selection
from corpora import write_jsonl

from llmner.config import JobConfig

pytestmark = [pytest.mark.usefixtures("cluster"), pytest.mark.slow]

INFRA = Path(__file__).resolve().parents[2] / "infra" / "observability"
SERIES = re.compile(r"^(ray_llmner_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(reason|stage)="(\w+)"')


def scraped() -> dict[tuple[str, str, str], float]:
    """Our series by name, run and the other label that is ours, summed over processes as Prometheus would."""
    [node] = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as page:
        text = page.read().decode()
    found: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for name, labels, value in SERIES.findall(text):
        [run_id] = re.findall(r'run="([^"]+)"', labels)
        label = LABEL.search(labels)
        found[run_id, name, label[2] if label else ""] += float(value)
    return found


def test_a_run_shows_what_it_does(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [f"Aspirin {i}. Nothing else." for i in range(30)])
    write_jsonl(corpus / "b.jsonl", ["Asthma UNTAGGABLE."] * 2, first=100)
    every: dict[tuple[str, str, str], float] = {}
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(0.5):
            every.update(scraped())

    scraper = threading.Thread(target=scrape)
    scraper.start()
    config = JobConfig.model_validate(
        {
            "inputs": [str(corpus)],
            "output": str(tmp_path / "out"),
            "tag_sets": {"en": ["ncbi_disease"]},
            "tag": {"rows_per_call": 4},
            "price_per_hour": 3.6,
        }
    )
    manifest = run(config, seconds=0.3, selection=selection(seconds=0.1)).manifest
    time.sleep(15)  # Ray shows what a process has counted within ten seconds, and for some after its end
    ended.set()
    scraper.join()
    last = {(name, label): value for (run_id, name, label), value in every.items() if run_id == manifest.run_id}
    figures = manifest.figures
    for name in ("documents", "sentences", "mentions", "source_tokens"):
        assert last[f"ray_llmner_{name}_total", ""] == figures[name] > 0
    assert figures["documents"] == 32
    assert last["ray_llmner_failures_total", "TaggingError"] == manifest.reasons["TaggingError"] == 2
    for stage in ("tag", "select"):
        assert last["ray_llmner_stage_seconds_total", stage] == pytest.approx(figures[f"{stage}_seconds"], abs=0.1)
    assert last["ray_llmner_queue", ""] == 0
    assert last["ray_llmner_cost_per_million_tokens", ""] == pytest.approx(figures["cost_per_million_tokens"], rel=0.1)
    named = (INFRA / "rules.yml").read_text() + json.dumps(json.loads((INFRA / "dashboard.json").read_text()))
    assert set(re.findall(r"ray_llmner_\w+", named)) == {name for name, _ in last}
