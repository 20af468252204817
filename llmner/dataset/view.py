"""The current view of a data set in DuckDB: the newest version of each document as of a commit, and its mentions.

The last row of each version counts: a withdrawn version is not there, and an unchanged one has the text and the
mentions of the first row that was tagged with the same text. Of the versions that are there the newest is the document.

Invariant: a view reads the files of its commits and no others; each document (source and identifier) has one row in
it, and each mention stands once. Nothing is copied, and memory is DuckDB's, which is bounded.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from llmner import storage
from llmner.dataset.links import LINK_SCHEMA, Links
from llmner.dataset.manifest import count_replaced, oldest_first
from llmner.dataset.reading import open_committed
from llmner.dataset.schema import DOCUMENT_SCHEMA, MENTION_SCHEMA
from llmner.errors import DatasetError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class ViewFile:
    """A committed file of documents and the files that are derived from it; see ``compaction.DataFile``.

    Attributes:
        documents: URI.
        mentions: URI.
    """

    commit: int | None
    batch: str
    name: str
    rows: int
    documents: str
    mentions: str


@dataclass(frozen=True)
class View:
    """A data set as of a commit.

    Attributes:
        uri: The data set.
        commit: Number of the last commit that counts; 0 before the first.
        files: Of all commits up to that one, in their order.
        commits: Numbers of these commits by the age of their content, oldest first.
        replaced: How many of them a new baseline has replaced; what they say of a text still holds.
        oldest: The oldest commit of the data set that can be opened.
        only: The commit whose rows alone are looked at; None for those of all.
    """

    uri: str
    commit: int
    files: tuple[ViewFile, ...]
    commits: tuple[int, ...]
    replaced: int
    oldest: int
    only: int | None = None


def open_view(uri: str, commit: int | None = None) -> View:
    """Open a data set as of a commit.

    Args:
        uri: The data set.
        commit: Number of the commit; the newest by default.

    Raises:
        DatasetError: There is no data set, no such commit, or it is not kept any more.
    """
    dataset = open_committed(uri)
    newest = len(dataset.manifests)
    if commit is not None and not 0 <= commit <= newest:
        raise DatasetError(f"{uri}: there is no commit {commit}", hint=f"the newest is {newest}")
    last = newest if commit is None else commit
    if 0 < last < dataset.oldest:
        raise DatasetError(f"{uri}: commit {last} is not kept any more", hint=f"the oldest is {dataset.oldest}")
    files = []
    for f in dataset.files() if last else ():
        if f.commit is None or f.commit <= last:
            batch = dataset.layout.batch(f.batch)
            places = (storage.join(folder, f.name) for folder in (batch.documents, batch.mentions))
            files.append(ViewFile(f.commit, f.batch, f.name, f.rows, *places))
    by_age = oldest_first(dataset.manifests[:last])
    commits = tuple(m.commit for m in by_age)
    return View(dataset.uri, last, tuple(files), commits, count_replaced(by_age), dataset.oldest)


@contextmanager
def database(*uris: str, memory: str) -> "Iterator[duckdb.DuckDBPyConnection]":
    """Open a database for the time of a computation; what does not fit in memory goes to temporary files.

    Args:
        uris: What will be read and written in it.
        memory: Most that DuckDB may hold, e.g. ``4GB``.
    """
    import duckdb

    with TemporaryDirectory(prefix="llmner-") as folder:
        spilled = str(Path(folder) / "spilled")
        with duckdb.connect(config={"memory_limit": memory, "temp_directory": spilled}) as connection:
            for uri in uris:
                fs, _ = storage.file_system(uri)
                protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
                if not isinstance(fs, LocalFileSystem) and not connection.filesystem_is_registered(protocol):
                    connection.register_filesystem(fs)
            yield connection


def attach(connection: "duckdb.DuckDBPyConnection", view: View, schema: str, *, links: Links | None = None) -> None:
    """Make the view's relations in a schema of its own: ``documents``, ``mentions`` and ``links``.

    ``documents`` has the columns of ``DOCUMENT_SCHEMA``; only documents that could be read and tagged are in it.
    ``mentions`` and ``links`` have those of ``MENTION_SCHEMA`` and ``LINK_SCHEMA``. Each has ``file``, the number of
    the file that a row is from.

    Args:
        connection: From ``database``.
        view: The view.
        schema: Name of the schema, new.
        links: Links of the mentions; without them ``links`` is empty.

    Raises:
        DatasetError: Files of links are missing.
    """
    if links is not None and (missing := missing_links(view, links)):
        hint = "run `llmner link` with the same lexicons again"
        raise DatasetError(f"{view.uri}: {len(missing)} files of mentions have no links yet", hint=hint)
    attach_rows(connection, view, schema, links=links)
    connection.execute(_CURRENT.format(schema=schema, last=_LAST.format(rows="rows")))
    connection.execute(f"""
        CREATE VIEW {schema}.documents AS SELECT rows.* EXCLUDE (commit) REPLACE (current.year AS year)
        FROM {schema}.all_documents AS rows JOIN {schema}.current USING (doc_key, file);
        CREATE VIEW {schema}.mentions AS SELECT rows.* REPLACE (current.year AS year)
        FROM {schema}.all_mentions AS rows JOIN {schema}.current USING (doc_key, file);
        CREATE VIEW {schema}.links AS
        SELECT * FROM {schema}.all_links SEMI JOIN {schema}.current USING (doc_key, file);
    """)


def attach_rows(
    connection: "duckdb.DuckDBPyConnection", view: View, schema: str, *, links: Links | None = None
) -> None:
    """Make the relations that a view is made from, in a schema of its own.

    ``all_documents``, ``all_mentions`` and ``all_links`` are the rows of all files with the file's number; documents
    have ``commit``, too. ``rows`` are the documents that could be read and tagged, or were withdrawn, without their
    texts; ``last`` are those of them that count, for each version the one of the newest content.

    Args:
        connection: From ``database``.
        view: The view.
        schema: Name of the schema, new.
        links: Links of the mentions; without them there are none.
    """
    connection.execute(f"CREATE SCHEMA {schema}")
    files = pa.table(
        {
            "file": pa.array(range(len(view.files)), pa.int32()),
            "commit": pa.array([f.commit for f in view.files], pa.int32()),
            "documents": pa.array([f.documents for f in view.files], pa.string()),
            "mentions": pa.array([f.mentions for f in view.files], pa.string()),
            "links": pa.array([links.file(f.batch, f.name) if links else None for f in view.files], pa.string()),
        }
    )
    connection.from_arrow(files).create(f"{schema}.files")
    commits = pa.table(
        {
            "commit": pa.array(view.commits, pa.int32()),
            "age": pa.array(range(len(view.commits)), pa.int32()),
            "replaced": pa.array([age < view.replaced for age in range(len(view.commits))], pa.bool_()),
        }
    )
    connection.from_arrow(commits).create(f"{schema}.commits")
    numbered = DOCUMENT_SCHEMA.append(pa.field("file", pa.int32())).append(pa.field("commit", pa.int32()))
    query = select_documents(schema, view.files)
    if query and view.only is not None:
        query = f"FROM ({query}) WHERE commit = {view.only}"
    _make(connection, schema, "documents", query, numbered)
    for part, row in (("mentions", MENTION_SCHEMA), ("links", LINK_SCHEMA)):
        query = _select(schema, part, [uri for uri in files[part].to_pylist() if uri is not None], row)
        if query and view.only is not None:  # merged files say of documents alone which commit they are from
            query = f"FROM ({query}) SEMI JOIN {schema}.all_documents USING (doc_key, file)"
        _make(connection, schema, part, query, row.append(pa.field("file", pa.int32())))
    connection.execute(_ROWS.format(schema=schema, last=_LAST.format(rows=f"{schema}.rows")))


def select_documents(schema: str, files: Sequence[ViewFile]) -> str:
    """Return the query of the rows of some of an attached view's files, with ``file`` and ``commit``; none of none."""
    single = [f.documents for f in files if f.commit is not None]
    several = [f.documents for f in files if f.commit is None]
    queries = (
        _select(schema, "documents", single, DOCUMENT_SCHEMA, "files.commit"),
        _select(schema, "documents", several, DOCUMENT_SCHEMA, "rows.commit"),
    )
    return " UNION ALL ".join(filter(None, queries))


def _select(schema: str, part: str, uris: Sequence[str], row: pa.Schema, *more: str) -> str:
    """Return the query of the rows of files with ``file``, the number of their file, and more columns."""
    if not uris:
        return ""
    names = ", ".join([*(f'rows."{name}"' for name in row.names), "files.file", *more])
    return f"""
        SELECT {names} FROM read_parquet([{listed(uris)}], filename = true) AS rows
        JOIN {schema}.files AS files ON rows.filename = files.{part}
    """


def _make(connection: "duckdb.DuckDBPyConnection", schema: str, part: str, query: str, row: pa.Schema) -> None:
    """Make the relation of a query; without one an empty relation."""
    if query:
        connection.execute(f"CREATE VIEW {schema}.all_{part} AS {query}")
    else:
        connection.from_arrow(row.empty_table()).create(f"{schema}.all_{part}")


# A batch has one row of a version, so a version and a commit name a row; so do a version and a file.
_ROWS = """
CREATE VIEW {schema}.rows AS
SELECT source, source_id, version, doc_key, text_sha256, status, year, file, commit, age, replaced
FROM {schema}.all_documents JOIN {schema}.commits USING (commit)
WHERE status IN ('ok', 'empty', 'unchanged', 'withdrawn');
CREATE VIEW {schema}.last AS {last}
"""

_LAST = """
SELECT doc_key, unnest(arg_max(
    {{source: source, source_id: source_id, version: version, text_sha256: text_sha256, status: status, year: year,
      file: file, commit: commit}}, age))
FROM {rows} WHERE NOT replaced GROUP BY doc_key
"""

# The row that each document has in a view: where it was tagged, and its year, which its source may revise.
_CURRENT = """
CREATE TABLE {schema}.current AS
WITH rows AS (FROM {schema}.rows), last AS ({last}), newest AS (
    SELECT source, source_id, unnest(arg_max(
        {{doc_key: doc_key, text_sha256: text_sha256, status: status, year: year, file: file, commit: commit}},
        version))
    FROM last WHERE status <> 'withdrawn' GROUP BY source, source_id
), tagged AS (
    SELECT doc_key, text_sha256, unnest(arg_min({{file: file, commit: commit}}, commit))
    FROM rows SEMI JOIN (FROM newest WHERE status = 'unchanged') USING (doc_key, text_sha256)
    WHERE status IN ('ok', 'empty') GROUP BY doc_key, text_sha256
)
SELECT source, source_id, doc_key, year, file, commit FROM newest WHERE status <> 'unchanged'
UNION ALL
SELECT source, source_id, doc_key, year, tagged.file, tagged.commit
FROM newest JOIN tagged USING (doc_key, text_sha256) WHERE status = 'unchanged'
"""


def quoted(text: str) -> str:
    """Return a text for between the single quotes of an SQL literal."""
    return text.replace("'", "''")


def listed(uris: Iterable[str]) -> str:
    """Return URIs as a list in SQL."""
    return ", ".join(f"'{quoted(uri)}'" for uri in uris)


def missing_links(view: View, links: Links) -> list[ViewFile]:
    """Return the files whose mentions are not linked yet."""
    made = {batch: set(storage.list_names(links.folder(batch))) for batch in {f.batch for f in view.files}}
    return [f for f in view.files if f.name not in made[f.batch]]


def changes(connection: "duckdb.DuckDBPyConnection", old: str, new: str) -> None:
    """Make the relations of what lies between two attached views, in the schema of the new one.

    ``changed`` are documents that are new or have another row, ``withdrawn`` those that are no more; both have the
    columns ``source`` and ``source_id``.
    """
    same = "USING (source, source_id)"
    connection.execute(f"""
        CREATE VIEW {new}.changed AS SELECT source, source_id FROM (
            SELECT * EXCLUDE (file) FROM {new}.current EXCEPT SELECT * EXCLUDE (file) FROM {old}.current);
        CREATE VIEW {new}.withdrawn AS SELECT source, source_id FROM {old}.current ANTI JOIN {new}.current {same};
    """)
