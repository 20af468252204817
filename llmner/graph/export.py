"""Exporting a data set's graph: build it, write it, and say what was written.

Invariant: ``export.json`` is there from the beginning and says ``finished`` at the end; a folder without it is never
written to unless it is new or empty.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from llmner import storage
from llmner.errors import ConfigError, DatasetError
from llmner.graph.build import Cutoffs
from llmner.graph.relations import CO_OCCURS, RELATIONS
from llmner.graph.snapshot import Rows, open_rows
from llmner.graph.writers import WRITERS
from llmner.graph.writers.neo4j import write_neo4j

_STRONGEST = 10
_STEPS = 2 + len(RELATIONS)
_DIFFERENCES = tuple(name for name in WRITERS if name != "biocypher")  # BioCypher makes whole graphs


@dataclass(frozen=True)
class Pair:
    """An edge of co-occurrence, for people."""

    subject: str
    object: str
    documents: int
    sentences: int
    pmi: float
    log_likelihood: float


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Attributes:
        commit: The commit that the graph is of.
        written: Rows by relation.
        deleted: Rows to delete by relation; empty for a whole graph.
        strongest: The co-occurrences with the highest log-likelihood of the whole graph.
    """

    commit: int
    written: dict[str, int]
    deleted: dict[str, int]
    strongest: tuple[Pair, ...]


def export(
    format: str,
    uri: str,
    out: str,
    *,
    cutoffs: Cutoffs,
    commit: int | None = None,
    since: int | None = None,
    parquet: bool = False,
    memory: str = "4GB",
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Export a data set's graph.

    Args:
        format: A name of ``WRITERS``.
        uri: The data set.
        out: Folder to write: new, empty, or an export, which is replaced.
        cutoffs: Which co-occurrences become edges.
        commit: The commit to export; the newest by default.
        since: Only what has changed since this commit.
        parquet: For Neo4j: Parquet instead of CSV.
        memory: Most that DuckDB may hold.
        progress: Called with the number of steps that are done and of all: the graph is built, the files are written,
            the rows of each relation are counted.

    Raises:
        ConfigError: The folder holds something else, or the format has no differences.
        DatasetError: There is no data set, no such commit, or mentions that are not linked yet.
    """
    if since is not None and format not in _DIFFERENCES:
        raise ConfigError(f"{format}: --since is not possible", hint=f"it is for {', '.join(_DIFFERENCES)}")
    out = storage.absolute_uri(out)
    write = partial(write_neo4j, parquet=parquet) if format == "neo4j" else WRITERS[format]
    with open_rows(uri, out, cutoffs, commit=commit, since=since, memory=memory) as rows:
        description = {"format": format, "dataset": rows.view.uri, "commit": rows.view.commit, "since": since}
        description |= {"links": rows.links, "cutoffs": vars(cutoffs), "finished": False}
        _prepare(out, description)
        report = progress or (lambda done, total: None)
        report(1, _STEPS)
        write(rows, out)
        written, deleted = {}, {}
        for done, relation in enumerate(RELATIONS, 2):
            report(done, _STEPS)
            written[relation.name] = rows.count(rows.rows(relation))
            if since is not None:
                deleted[relation.name] = rows.count(rows.deleted(relation))
        report(_STEPS, _STEPS)
        description |= {"rows": written, "deleted": deleted, "finished": True}
        _describe(out, description)
        return Exported(rows.view.commit, written, deleted, _strongest(rows))


def read_description(out: str) -> dict[str, Any]:
    """Return what ``export.json`` says of a finished export.

    Raises:
        DatasetError: There is no export here, or it was cut off.
    """
    content = storage.read_bytes(storage.join(out, "export.json"))
    if content is None:
        raise DatasetError(f"{out}: no export here", hint="make one with `llmner export`")
    description: dict[str, Any] = json.loads(content)
    if not description["finished"]:
        raise DatasetError(f"{out}: this export was cut off", hint="make it again")
    return description


def _prepare(out: str, description: dict[str, Any]) -> None:
    fs, path = storage.file_system(out)
    with storage.access(out):
        if fs.exists(path) and fs.ls(path) and storage.read_bytes(storage.join(out, "export.json")) is None:
            raise ConfigError(f"{out}: there is something else in this folder", hint="choose a new one")
        storage.remove(out)
        fs.makedirs(path, exist_ok=True)
        _describe(out, description)


def _describe(out: str, description: dict[str, Any]) -> None:
    content = json.dumps(description, ensure_ascii=False, indent=1)
    storage.write_whole(storage.join(out, "export.json"), content.encode())


def _strongest(rows: Rows) -> tuple[Pair, ...]:
    found = rows.connection.execute(f"""
        SELECT a.name, b.name, e.documents, e.sentences, e.pmi, e.log_likelihood
        FROM new.{CO_OCCURS.name} e JOIN new.concepts a ON a.id = e.subject JOIN new.concepts b ON b.id = e.object
        ORDER BY e.log_likelihood DESC, e.documents DESC, e.sentences DESC, e.subject, e.object LIMIT {_STRONGEST}
    """).fetchall()
    return tuple(Pair(*row) for row in found)
