"""The ledger at the size of PubMed: which of a night's 30,000 records have a text that was tagged before?

    python tests/benchmarks/ledger.py --entries 1000000 10000000 40000000

Ledgers of random entries are written into a folder that goes afterwards: a baseline of one range, then ranges of
nightly commits as a year leaves them. More than half of the records repeat an entry. Each lookup is a process of its
own, whose time and peak memory are shown.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from llmner import storage
from llmner.dataset.files import write_batches
from llmner.dataset.layout import Layout
from llmner.dataset.ledger import ENTRY_SCHEMA, Ledger, ranges

RECORDS = 30_000
REPEATS = 0.56
NIGHT = 13_000  # entries of a nightly commit
COMMITS = 1024 + 223  # a baseline file by file, and seven months
BATCH = 1 << 20


def random_entries(rng: np.random.Generator, count: int) -> pa.RecordBatch:
    keys = rng.integers(-(2**63), 2**63 - 1, count, np.int64)
    return pa.record_batch([pa.array(keys), pa.array(rng.integers(0, 2**64 - 1, count, np.uint64))], ENTRY_SCHEMA)


def write_ledger(folder: str, count: int) -> None:
    """Write the files of a ledger with so many entries; the commits after the first range have those of a night."""
    rng = np.random.default_rng(7)
    parts = ranges(COMMITS)
    nights = min((COMMITS - parts[0][1]) * NIGHT, count // 2)
    for first, last in parts:
        commits = last - first + 1
        size = count - nights if first == 1 else nights * commits // (COMMITS - parts[0][1])
        batches = (random_entries(rng, min(BATCH, size - done)) for done in range(0, size, BATCH))
        write_batches(storage.join(Layout.at(folder).ledger, f"{first:08d}-{last:08d}.parquet"), batches, ENTRY_SCHEMA)


def look_up(folder: str) -> None:
    """Look up the records of a night and show what it took."""
    repeats = round(RECORDS * REPEATS)
    first = storage.join(Layout.at(folder).ledger, storage.list_names(Layout.at(folder).ledger)[0])
    known = next(pq.ParquetFile(first).iter_batches(repeats))
    records = pa.Table.from_batches([known, random_entries(np.random.default_rng(8), RECORDS - repeats)], ENTRY_SCHEMA)
    ledger = Ledger(Layout.at(folder), [None] * COMMITS)  # the manifests are needed only to make what is missing
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    found = ledger.tagged(records)
    assert found[:repeats].all(), "not found"
    assert not found[repeats:].any(), "found what is not there"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    print(f"{seconds:.1f} s, {cpu_seconds:.1f} s of processors, peak {peak / 1024:.0f} MB ({before / 1024:.0f} before)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, nargs="+", default=[1_000_000, 10_000_000, 40_000_000])
    parser.add_argument("--look-up", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look_up:
        look_up(arguments.look_up)
        return
    for count in arguments.entries:
        with tempfile.TemporaryDirectory() as folder:
            write_ledger(folder, count)
            files = list((Path(folder) / "ledger").iterdir())
            size = sum(file.stat().st_size for file in files)
            done = subprocess.run([sys.executable, __file__, "--look-up", folder], capture_output=True, text=True)
            said = done.stdout.strip() or done.stderr
            print(f"{count:>12,} entries, {len(files)} files, {size / 1e6:.0f} MB: {said}", flush=True)


if __name__ == "__main__":
    main()
