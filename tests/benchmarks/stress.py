"""Workers, drivers and nodes killed at random moments of jobs with poison in their inputs and faults in their storage.

Of the documents 2 % kill the worker that tags them and 1 % hang it; S3, over HTTP, answers a tenth of all requests with
an error. A job is run undisturbed first. Then the same job is run, with another output each time, until so many kills
have been survived; whenever a driver is gone, the same command is given again. At the end of each job its data set must
be the undisturbed one: the same documents with the same mentions, each once, and only poison has failed.

    python tests/benchmarks/stress.py [--kills 200] [--documents 200] [--minutes 60] [--seed 1]
"""

import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS), str(TESTS / "extraction")]

from conftest import S3_ENVIRONMENT  # noqa: E402
from corpora import documents, mentions, text, write_jsonl  # noqa: E402
from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from test_kills import STORE, VICTIMS, program, workers  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

from llmner.config import JobConfig  # noqa: E402

BUCKET = "stress"
FAULTS = 0.1  # of the requests
DEADLY, ENDLESS = 0.02, 0.01  # of the documents
MODEL_SECONDS = 5.0  # after which a model that hangs is given up
STARTED = 12.0  # seconds after which a driver is at work, mostly
APART = (1.0, 12.0)  # seconds between two kills: less than a worker takes to load, and enough for a file
NODE_CPUS = 4
NODE_TRIES = 5
Environ = dict[str, Any]


class FaultyStore:
    """S3 that answers some requests with an error while it is told to."""

    def __init__(self, rng: random.Random) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._rng = rng
        self.faulty = False
        self.requests = self.faults = 0

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """See WSGI."""
        self.requests += 1
        if self.faulty and self._rng.random() < FAULTS:
            self.faults += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Service Unavailable", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"]
        answer: Iterable[bytes] = self._app(environ, start)
        return answer


@contextmanager
def served(store: FaultyStore) -> Iterator[str]:
    """Serve it; give its address."""
    server = make_server("127.0.0.1", 0, store, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def write_inputs(folder: Path, number: int, rng: random.Random) -> set[str]:
    """Write so many documents; return the identifiers of those that must fail."""
    texts = [text(i) for i in range(number)]
    poison = rng.sample(range(number), round(number * (DEADLY + ENDLESS)))
    for place, i in enumerate(poison):
        texts[i] = "DEADLY" if place < round(number * DEADLY) else "ENDLESS"
    half = number // 2
    write_jsonl(folder / "a.jsonl", texts[:half])
    write_jsonl(folder / "b.jsonl", texts[half:], first=half)
    return {f"d{i}" for i in poison}


def job(output: str) -> JobConfig:
    """The job."""
    values = {
        "inputs": [f"s3://{BUCKET}/in"],
        "output": f"s3://{BUCKET}/{output}",
        "documents_per_file": 10,
        "stall_minutes": 1,
        "tag": {"rows_per_call": 8, "seconds": MODEL_SECONDS, "seconds_per_character": 0},
    }
    return JobConfig.model_validate(values)


class Stress:
    """The jobs on a cluster whose parts are killed.

    Attributes:
        killed: How often each part was.
        ended: How often a driver ended by itself before its job was done.
    """

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self._cluster = cluster
        self._node = self._new_node()
        self._rng = rng
        self.killed: Counter[str] = Counter()
        self.ended = 0

    def _new_node(self) -> Any:
        for _ in range(NODE_TRIES):
            try:
                return self._cluster.add_node(num_cpus=NODE_CPUS, object_store_memory=STORE)
            except Exception:  # noqa: BLE001 - of no other class: Ray gives a node half a minute, here of a busy machine
                logging.warning("a node took too long to start, trying again")
        raise typer.Exit(1)

    def run(self, output: str, kills: int, until: float) -> None:
        """Run the job to its end, with so many kills in all at most, and none after a time."""
        while (code := self._drive(output, kills, until)) != 0:
            self.ended += code is not None

    def _drive(self, output: str, kills: int, until: float) -> int | None:
        """Run a driver until it ends or is killed; return its exit code, or None."""
        environment = {**os.environ, "RAY_ADDRESS": self._cluster.address}
        driver = subprocess.Popen(
            program(job(output)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            driver.wait(self._rng.uniform(0, STARTED))
        except subprocess.TimeoutExpired:
            pass
        while driver.poll() is None:
            try:
                driver.wait(self._rng.uniform(*APART))
            except subprocess.TimeoutExpired:
                if self.killed.total() < kills and time.monotonic() < until and self._kill(driver):
                    driver.wait()
                    return None
        return driver.returncode

    def _kill(self, driver: subprocess.Popen[bytes]) -> bool:
        """Kill something; return whether it was the driver."""
        what = self._rng.choices(("worker", "driver", "node"), (70, 15, 15))[0]
        if what == "driver":
            driver.send_signal(signal.SIGKILL)
        elif what == "node":
            self._cluster.remove_node(self._node, allow_graceful=False)
            self._node = self._new_node()
        elif found := workers(*VICTIMS):
            self._rng.choice(found).kill()
        else:
            return False
        self.killed[what] += 1
        return what == "driver"


def content(output: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Documents and mentions of a data set; why one failed may be told in other words."""
    rows = documents(f"s3://{BUCKET}/{output}")
    for row in rows:
        row["error_message"] = row["error_message"] and ""
    return rows, mentions(f"s3://{BUCKET}/{output}")


def main(
    kills: Annotated[int, typer.Option(help="Kills in all.")] = 200,
    number: Annotated[int, typer.Option("--documents", help="Documents of a job.")] = 200,
    minutes: Annotated[float, typer.Option(help="Minutes after which nothing is killed any more.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the random moments.")] = 1,
) -> None:
    """Kill, and compare."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    rng = random.Random(seed)
    store = FaultyStore(random.Random(seed))
    with served(store) as address, tempfile.TemporaryDirectory() as folder:
        os.environ |= {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": address, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
        os.environ["AWS_MAX_ATTEMPTS"] = "6"  # the driver's own tries
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        poison = write_inputs(Path(folder), number, rng)
        for file in Path(folder).iterdir():
            client.upload_file(str(file), BUCKET, f"in/{file.name}")
        head = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": STORE}
        cluster = Cluster(True, head_node_args=head)
        try:
            stress = Stress(cluster, rng)
            stress.run("whole", kills=0, until=0)
            whole = content("whole")
            failed = {row["source_id"] for row in whole[0] if row["status"] == "failed"}
            print(f"undisturbed: {len(whole[0])} documents, {len(failed)} failed, poison {len(poison)}", flush=True)
            same = failed == poison
            jobs, until = 0, time.monotonic() + minutes * 60
            while stress.killed.total() < kills and time.monotonic() < until:
                jobs += 1
                store.faulty = True
                stress.run(f"killed-{jobs}", kills, until)
                store.faulty = False
                alike = content(f"killed-{jobs}") == whole
                same &= alike
                print(f"job {jobs}: {dict(stress.killed)}, {'the same' if alike else 'DIFFERENT'}", flush=True)
        finally:
            cluster.shutdown()
    print(
        f"{stress.killed.total()} kills in {jobs} jobs ({dict(stress.killed)}), {stress.ended} drivers ended by "
        f"themselves, {store.faults:,} of {store.requests:,} requests failed: "
        f"{'every data set is the undisturbed one' if same else 'DATA SETS DIFFER'}"
    )
    raise typer.Exit(0 if same else 1)


if __name__ == "__main__":
    typer.run(main)
