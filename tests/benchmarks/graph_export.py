"""Exporting graphs of synthetic data sets: time, peak memory, and how both grow.

    python tests/benchmarks/graph_export.py --mentions 500000 --mentions 5000000

Each size runs in a process of its own. A document has ten mentions in five sentences, drawn from 50,000 concepts, the
n-th of them n times as rare as the first, as in literature; nine in ten are linked. Data are the same in every run.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from llmner.dataset.fingerprint import Fingerprint, ensure
from llmner.dataset.layout import Layout
from llmner.dataset.links import LINK_SCHEMA, Links
from llmner.dataset.manifest import Draft, File, commit
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA, SCHEMA_VERSION

CONCEPTS = 50_000
OF_DOCUMENT = 10  # mentions
OF_FILE = 20_000  # documents
FORMATS = ("neo4j", "kgx", "rdf", "biocypher")


def make(uri: str, mentions: int) -> None:
    """Write a data set of so many mentions, with links."""
    layout, random = Layout.at(uri), np.random.default_rng(7)
    ensure(layout, Fingerprint({"made": "synthetic"}), [])
    batch, links, files = layout.batch("synthetic"), Links(layout.uri, "synthetic"), []
    for folder in (batch.documents, batch.mentions, links.folder("synthetic")):
        Path(folder).mkdir(parents=True)
    documents = mentions // OF_DOCUMENT
    for first in range(0, documents, OF_FILE):
        name = f"part-{first:09d}.parquet"
        keys = np.arange(first, min(first + OF_FILE, documents))
        pq.write_table(_documents(keys), f"{batch.documents}/{name}")
        table = _mentions(keys, random)
        pq.write_table(table, f"{batch.mentions}/{name}")
        pq.write_table(_links(table), f"{links.folder('synthetic')}/{name}")
        files.append(File(name=name, rows=len(keys), bytes=0, sha256=""))
    links.make_current()
    now = "2026-01-01T00:00:00Z"
    commit(
        layout,
        Draft(
            schema_version=SCHEMA_VERSION,
            batch="synthetic",
            inputs_digest="",
            fingerprint="synthetic",
            inputs=[],
            files=files,
            counts={},
            tag_sets={},
            started=now,
            finished=now,
            run_id="",
            versions={},
        ),
    )


def _documents(keys: np.ndarray) -> pa.Table:
    sentences = [{"start": i * 100, "end": i * 100 + 99} for i in range(5)]
    return _table(
        DOCUMENT_SCHEMA,
        len(keys),
        doc_key=keys,
        source="pubmed",
        source_id=keys.astype(str),
        version=1,
        source_file="",
        lang="en",
        year=2000 + keys % 26,
        title=[f"Of the paper number {key} on things that occur" for key in keys],
        text="",
        text_sha256="",
        status="ok",
        sentences=[sentences] * len(keys),
        mentions=[[]] * len(keys),
        source_tokens=0,
        fed_tokens=0,
        run_id="",
        record=keys,
    )


def _mentions(keys: np.ndarray, random: np.random.Generator) -> pa.Table:
    owners = np.repeat(keys, OF_DOCUMENT)
    rows = len(owners)
    shares = 1 / np.arange(1, CONCEPTS + 1)
    concepts = random.choice(np.arange(1, CONCEPTS + 1), rows, p=shares / shares.sum())
    place = np.tile(np.arange(OF_DOCUMENT), len(keys))
    return _table(
        MENTION_SCHEMA,
        rows,
        mention_id=[f"{owner:016x}{i:016x}" for owner, i in zip(owners, place, strict=True)],
        doc_key=owners,
        source="pubmed",
        source_id=owners.astype(str),
        version=1,
        lang="en",
        year=2000 + owners % 26,
        start=place * 50,
        end=place * 50 + 20,
        text=[f"concept {c}" for c in concepts],
        type=np.where(concepts % 2 == 0, "Disease", "Chemical"),
        tag_set="bc5cdr",
        sentence=place // 2,
        generator_score=random.random(rows),
        kept=True,
        match="exact",
        part_kind="text",
        section="",
    )


def _links(mentions: pa.Table) -> pa.Table:
    numbers = np.array([int(text.rpartition(" ")[2]) for text in mentions["text"].to_pylist()])
    linked = numbers % 10 != 9
    rows, names = int(linked.sum()), mentions["text"].filter(pa.array(linked))
    return _table(
        LINK_SCHEMA,
        rows,
        mention_id=mentions["mention_id"].filter(pa.array(linked)),
        doc_key=mentions["doc_key"].filter(pa.array(linked)),
        concept_id=[f"MESH:D{number}" for number in numbers[linked]],
        concept_name=names,
        concept_type=np.where(numbers[linked] % 2 == 0, "disease", "chemical"),
        rank=1,
        candidates=1,
        score=0.95,
        step="lower",
        name=names,
        kind="preferred",
        source="mesh",
        version="",
    )


def _table(schema: pa.Schema, rows: int, **values: object) -> pa.Table:
    """A table of a schema; a single value stands in every row, a column that is not given is null."""
    columns = []
    for field in schema:
        value = values.get(field.name)
        if value is None or isinstance(value, str | int | float | bool):
            columns.append(pa.repeat(pa.scalar(value, field.type), rows))
        else:
            columns.append(pa.array(value, field.type) if isinstance(value, list) else _cast(value, field.type))
    return pa.table(columns, schema=schema)


def _cast(value: object, type: pa.DataType) -> pa.Array:
    array = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else pa.array(value)
    return array.cast(type)


def measure(uri: str, format: str, memory: str) -> dict[str, object]:
    """Export once, in this process."""
    from llmner.graph.build import Cutoffs
    from llmner.graph.export import export

    with tempfile.TemporaryDirectory() as out:
        start, cpu = time.monotonic(), time.process_time()
        exported = export(format, uri, f"{out}/graph", cutoffs=Cutoffs(), memory=memory)
        size = sum(path.stat().st_size for path in Path(f"{out}/graph").iterdir())
        return {
            "seconds": time.monotonic() - start,
            "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "bytes": size,
            "edges": exported.written["mentions"] + exported.written["co_occurs"],
        }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mentions", type=int, action="append", help="mentions of a data set; repeatable")
    parser.add_argument("--format", choices=FORMATS, action="append", help="repeatable; neo4j by default")
    parser.add_argument("--memory", default="2GB", help="most that DuckDB may hold")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure:
        print(json.dumps(measure(*given.measure, given.memory)))
        return
    table = Table("mentions", "format", "edges", "output MB", "seconds", "CPU s", "peak MB", "µs CPU a mention")
    for mentions in given.mentions or (500_000, 5_000_000):
        with tempfile.TemporaryDirectory() as folder:
            make(f"{folder}/set", mentions)
            for format in given.format or ("neo4j",):
                command = [sys.executable, __file__, "--memory", given.memory, "--measure", f"{folder}/set", format]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout)
                table.add_row(
                    f"{mentions:,}",
                    format,
                    f"{found['edges']:,}",
                    f"{found['bytes'] / 1e6:,.0f}",
                    f"{found['seconds']:.1f}",
                    f"{found['cpu']:.1f}",
                    f"{found['peak'] / 1e6:,.0f}",
                    f"{found['cpu'] / mentions * 1e6:.1f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
