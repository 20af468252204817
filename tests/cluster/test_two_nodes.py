"""Two nodes for real: head, workers and S3 server each on a host of its own, the job submitted from another.

A worker is lost and replaced, then the head; the data set is the one that an undisturbed run leaves.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
import yaml
from hosts import Network, missing, wait_until
from ray_cluster import GENERATORS, ROOT, SELECTORS, RayCluster

reason = missing()
pytestmark = [pytest.mark.long, pytest.mark.timeout(1500), pytest.mark.skipif(bool(reason), reason=reason)]

DOCUMENTS = 480
SECONDS = 0.03  # for each sentence and tag set; a run takes about a minute
JOB = {
    "inputs": ["s3://llmner/input/"],
    "output": "s3://llmner/entities",
    "tag": {"rows_per_call": 8, "gpus": 1},
    "select": {"rows_per_call": 8, "accelerator": "T4"},
    "documents_per_file": 24,
    "batch": "b",
}

FILL = """
import boto3, io, json, sys
from corpora import text
client = boto3.client("s3")
client.create_bucket(Bucket="llmner")
for f in range(4):
    lines = (json.dumps({"id": f"d{i}", "text": text(i)}) + "\\n" for i in range(f, int(sys.argv[1]), 4))
    client.put_object(Bucket="llmner", Key=f"input/{f}.jsonl", Body="".join(lines).encode())
"""
READ = """
import json
from corpora import documents, mentions
print(json.dumps([documents("s3://llmner/entities"), mentions("s3://llmner/entities")]))
"""
COUNT = """
import boto3
client = boto3.client("s3")
print(client.list_objects_v2(Bucket="llmner", Prefix="entities/.checkpoints/b/").get("KeyCount", 0))
"""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    yield network
    network.close()


def start(network: Network, folder: Path, token: str = "") -> RayCluster:
    """A cluster with its bucket filled, and a worker for each pool."""
    cluster = RayCluster(network, folder, token)
    cluster.client.python(FILL, str(DOCUMENTS))
    cluster.start_worker("generators", GENERATORS)
    cluster.start_worker("selectors", SELECTORS)
    return cluster


def submit(cluster: RayCluster, log: Path) -> Popen[bytes]:
    folder = Path(__file__).parent
    return cluster.submit(folder, log, "capital_words_job.py", json.dumps(JOB), str(SECONDS))


def ended(driver: Popen[bytes], log: Path) -> str:
    code = driver.wait(timeout=600)
    said = log.read_text(errors="replace")
    assert code == 0, said[-4000:]
    return said


def files_done(cluster: RayCluster) -> int:
    return int(cluster.client.python(COUNT))


# Shown where documents fail and where a price is given: tests/extraction/test_metrics.py sees them.
SOMETIMES = {"ray_llmner_failures_total", "ray_llmner_cost_per_million_tokens"}


def used_series() -> set[str]:
    """The series of Ray's that alerts and dashboard are made of."""
    folder = ROOT / "infra" / "observability"
    rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))
    panels = json.loads((folder / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    return {name for expression in expressions for name in re.findall(r"\b(?:ray|autoscaler)_\w+", expression)}


def shown_series(cluster: RayCluster) -> set[str]:
    pages = [
        cluster.client.get(f"http://{host}:{port}/metrics")[1]
        for host, port in ((cluster.head.address, p) for p in (8080, 44217))
    ]
    return {match for page in pages for match in re.findall(r"^([a-zA-Z_:]\w*)[{ ]", page, re.MULTILINE)}


def test_a_run_with_a_worker_and_then_the_head_lost(network: Network, tmp_path: Path) -> None:
    # Undisturbed, without authentication.
    (tmp_path / "quiet").mkdir()
    quiet = start(network, tmp_path / "quiet")
    log = tmp_path / "quiet.log"
    driver = submit(quiet, log)
    wait_until("files are written", lambda: files_done(quiet) > 0, [log])
    assert quiet.actors("ModelStage") == {h.address for h in network.hosts if h.name in ("generators", "selectors")}
    series: set[str] = set()
    while driver.poll() is None:
        series |= shown_series(quiet)
        time.sleep(2)
    ended(driver, log)
    expected = json.loads(quiet.client.python(READ))
    assert len(expected[0]) == DOCUMENTS
    assert used_series() - SOMETIMES <= series | shown_series(quiet)
    for host in network.hosts:
        host.cut_off()

    # With a token, and with losses.
    (tmp_path / "rough").mkdir()
    rough = start(network, tmp_path / "rough", token="a" * 64)
    assert rough.client.get(f"{rough.url}/api/jobs/")[0] == 401
    log = tmp_path / "rough-1.log"
    driver = submit(rough, log)
    wait_until("files are written", lambda: files_done(rough) > 1, [log])
    (generators,) = (h for h in network.hosts[-3:] if h.name == "generators")
    generators.cut_off()
    wait_until("the head misses it", lambda: generators.address not in (rough.nodes() or []), [rough.head.log])
    rough.start_worker("generators-2", GENERATORS)
    done = files_done(rough)
    wait_until("the run goes on", lambda: files_done(rough) > done + 2, [log, rough.head.log])
    assert driver.poll() is None

    rough.head.cut_off()
    driver.wait(timeout=120)
    for host in network.hosts[-4:]:
        if host.name not in ("storage", "client"):
            host.cut_off()
    done = files_done(rough)
    assert 0 < done < DOCUMENTS / JOB["documents_per_file"]
    rough.start_head("head-2")
    rough.start_worker("generators-3", GENERATORS)
    rough.start_worker("selectors-2", SELECTORS)
    for again in range(6):  # the lost head's lock holds until its lease ends
        log = tmp_path / f"rough-{again + 2}.log"
        driver = submit(rough, log)
        if driver.wait(timeout=600) == 0 or "another run is writing" not in log.read_text():
            break
        time.sleep(10)
    ended(driver, log)
    assert json.loads(rough.client.python(READ)) == expected
