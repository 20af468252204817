"""The current view as plain Parquet files, for readers that know nothing of commits.

Documents and mentions lie in parts by range of identifiers, so a night rewrites few of them; a publication is a
numbered file that lists its parts, and shares those in which nothing has changed with the one before it.

Invariant: a publication exists once its file does, which exactly one run creates and nobody changes. Its parts are
there before it, and stay until two newer ones are published, so a reader never sees half of one.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa

from llmner import storage
from llmner.dataset.delta import check_installed, commit_version, is_delta
from llmner.dataset.files import write_batches
from llmner.dataset.layout import Layout
from llmner.dataset.records import Part, Record, parse
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA, SCHEMA_VERSION
from llmner.dataset.view import View, attach, changes, database, open_view
from llmner.errors import DatasetError

if TYPE_CHECKING:
    import duckdb

_SCHEMAS = {"documents": DOCUMENT_SCHEMA, "mentions": MENTION_SCHEMA}
_KEPT = 2  # publications whose parts stay

# Numbers in ranges of a hundred thousand, as PubMed gives them; other identifiers by a hash.
_RANGE = """
source || '-' || CASE WHEN regexp_full_match(source_id, '\\d{1,15}(:\\w+)?')
    THEN lpad((split_part(source_id, ':', 1)::BIGINT // 100000)::VARCHAR, 6, '0') ELSE md5(source_id)[:2] END
"""


class PublishedPart(Part):
    """The documents of a range of identifiers, and their mentions.

    Attributes:
        range: Name of the range.
        documents: File of the documents.
        mentions: File of the mentions.
    """

    range: str
    documents: str
    mentions: str


class Publication(Record):
    """A published view.

    Attributes:
        commit: The commit that it is as of.
        parts: Its parts, sorted by range; files by their paths below the data set.
    """

    commit: int
    parts: list[PublishedPart]

    def files(self, kind: str) -> list[str]:
        """Return the names of the files of ``documents`` or ``mentions`` in the folder of all such files."""
        files = (getattr(part, kind) for part in self.parts)
        return [file.rpartition("/")[2] for file in files if file]  # a range may be without mentions


def read_publication(uri: str) -> Publication | None:
    """Return the newest publication of a data set; None where there is none.

    Raises:
        DatasetError: It is damaged, or of an unknown major version.
    """
    layout = Layout.at(uri)
    names = storage.list_names(layout.published, ".json")
    return _read(layout, names[-1]) if names else None


def publish_view(
    uri: str,
    *,
    memory: str = "4GB",
    delta: bool = False,
    progress: Callable[[int, int], None] = lambda done, all: None,
) -> Publication:
    """Publish the newest commit: write the parts in which something has changed since the last publication.

    Args:
        uri: The data set.
        memory: Most that DuckDB may hold.
        delta: Whether its files are a version of Delta tables, too; once they were, each publication is.
        progress: Called with the number of files that are written, and of all.

    Raises:
        ConfigError: Delta tables cannot be written here.
        DatasetError: There is no data set, or a part of it is damaged.
    """
    view = open_view(uri)
    layout = Layout.at(uri)
    if delta := delta or any(is_delta(storage.join(layout.published, kind)) for kind in _SCHEMAS):
        check_installed()
    publication = _publish(view, layout, read_publication(uri), memory, progress)
    if delta:
        for kind, schema in _SCHEMAS.items():
            files = publication.files(kind)
            commit_version(storage.join(layout.published, kind), schema, files, publication.commit)
    _remove_old(layout)  # last, for until now a Delta table may have listed the files of the publication before
    return publication


def _publish(
    view: View, layout: Layout, last: Publication | None, memory: str, progress: Callable[[int, int], None]
) -> Publication:
    """Write a view's publication, unless it is the last one."""
    if last is not None and last.commit == view.commit:
        return last
    if last is not None and last.commit < view.oldest:
        last = None  # what has changed since cannot be told any more
    parts = {part.range: part for part in last.parts} if last else {}
    with database(view.uri, memory=memory) as connection:
        attach(connection, view, "new")
        if last is None:
            touched = f"SELECT DISTINCT {_RANGE} AS range FROM new.current"
        else:
            attach(connection, open_view(view.uri, last.commit), "old")
            changes(connection, "old", "new")
            touched = f"SELECT DISTINCT {_RANGE} AS range FROM (FROM new.changed UNION ALL FROM new.withdrawn)"
        connection.execute(f"CREATE TABLE touched AS {touched}")
        names = [name for (name,) in connection.execute("FROM touched").fetchall()]
        for name in names:
            parts.pop(name, None)
        written: dict[str, dict[str, str]] = {kind: {} for kind in _SCHEMAS}
        for kind, files in written.items():
            for name, file in _write(connection, layout, kind, view.commit):
                files[name] = file
                progress(sum(map(len, written.values())), len(_SCHEMAS) * len(names))
    for name, file in written["documents"].items():
        parts[name] = PublishedPart(range=name, documents=file, mentions=written["mentions"].get(name, ""))
    publication = Publication(
        schema_version=SCHEMA_VERSION, commit=view.commit, parts=[parts[name] for name in sorted(parts)]
    )
    storage.write_new(layout.publication(view.commit), publication.model_dump_json(indent=1).encode())
    return publication


def _write(
    connection: "duckdb.DuckDBPyConnection", layout: Layout, kind: str, commit: int
) -> Iterator[tuple[str, str]]:
    """Write the files of the ranges that are touched; yield each range with its file."""
    schema = _SCHEMAS[kind]
    names = ", ".join(f'"{name}"' for name in schema.names)
    rows = connection.sql(f"""
        SELECT range, {names} FROM (SELECT *, {_RANGE} AS range FROM new.{kind}) SEMI JOIN touched USING (range)
        ORDER BY range, source_id
    """)
    for name, batches in groupby(_by_range(rows.to_arrow_reader()), lambda found: found[0]):
        file = f"published/{kind}/{name}-{commit:08d}.parquet"
        write_batches(storage.join(layout.uri, file), (batch for _, batch in batches), schema)
        yield name, file


def _by_range(reader: pa.RecordBatchReader) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Cut sorted batches where a new range begins."""
    for batch in reader:
        ranges, first = batch.column(0).to_pylist(), 0
        for name, rows in groupby(ranges):
            size = sum(1 for _ in rows)
            yield name, batch.slice(first, size).drop_columns(["range"])
            first += size


def _remove_old(layout: Layout) -> None:
    """Remove publications but the newest ones, and files that none of these has."""
    names = storage.list_names(layout.published, ".json")
    kept = [_read(layout, name) for name in names[-_KEPT:]]
    for name in names[:-_KEPT]:
        storage.remove(storage.join(layout.published, name))
    for kind in _SCHEMAS:
        files = {file for publication in kept for file in publication.files(kind)}
        folder = storage.join(layout.published, kind)
        for name in set(storage.list_names(folder)) - files:
            storage.remove(storage.join(folder, name))


def _read(layout: Layout, name: str) -> Publication:
    uri = storage.join(layout.published, name)
    content = storage.read_bytes(uri)
    if content is None:
        raise DatasetError(f"{uri}: the publication is gone", hint="open it again")
    return parse(Publication, content, uri)
