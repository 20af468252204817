"""Linking a data set: every mention is looked up in lexicons, and what is found lies beside the mentions.

Invariant: a file of links depends on nothing but its file of mentions, the documents' texts and the lexicons; a run
makes those that are missing, so after a night it makes that night's. An abbreviation stands for the long form that its
document gives it, where a lexicon has that.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmner import storage
from llmner.dataset.links import LINK_SCHEMA, Links
from llmner.dataset.view import ViewFile, database, missing_links, open_view
from llmner.linking.abbreviations import abbreviations
from llmner.linking.lexicon import open_lexicon
from llmner.linking.matching import MATCHING_VERSION, Matcher

_FILES = 32  # files that are looked up at once; what is in memory is their mentions and texts


@dataclass
class Linked:
    """What a run did.

    Attributes:
        digest: Digest of the lexicons.
        files: Files of links that it made.
        mentions: Mentions that it looked up.
        linked: Mentions with one candidate or more.
        ambiguous: Mentions with more than one.
        steps: Linked mentions by step and source.
        concepts: Linked mentions by identifier and name of their first candidate.
    """

    digest: str
    files: int = 0
    mentions: int = 0
    linked: int = 0
    ambiguous: int = 0
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)
    concepts: Counter[tuple[str, str]] = field(default_factory=Counter)


def link(
    uri: str, lexicons: Sequence[str], *, memory: str = "4GB", progress: Callable[[int, int], None] | None = None
) -> Linked:
    """Link the mentions of a data set that are not linked yet with these lexicons.

    Args:
        uri: The data set.
        lexicons: Lexicon files in the order in which they are asked; one's own synonyms come first.
        memory: Most that DuckDB may hold.
        progress: Called with the number of files that are done and of all.

    Raises:
        InputError: A lexicon that cannot be read.
        DatasetError: There is no data set.
    """
    view = open_view(uri)
    opened = [open_lexicon(path) for path in lexicons]
    identity = "\n".join([MATCHING_VERSION, *(lexicon.digest for lexicon in opened)])
    links = Links(view.uri, hashlib.sha256(identity.encode()).hexdigest()[:16])
    missing = missing_links(view, links)
    result = Linked(links.digest)
    if missing:
        links.describe([{"path": lexicon.path, "sha256": lexicon.digest} for lexicon in opened])
        with database(view.uri, memory=memory) as connection:
            matcher = Matcher(opened, connection)
            for start in range(0, len(missing), _FILES):
                _link_files(missing[start : start + _FILES], matcher, connection, links, result)
                if progress is not None:
                    progress(result.files, len(missing))
    links.make_current()
    return result


def _link_files(
    files: Sequence[ViewFile], matcher: Matcher, connection: duckdb.DuckDBPyConnection, links: Links, result: Linked
) -> None:
    mentions = pa.concat_tables([_mentions(file, number) for number, file in enumerate(files)])
    texts, types, long_forms = (mentions[name].to_pylist() for name in ("text", "type", "long_form"))
    queries = {*zip(texts, types, strict=True), *((long, t) for long, t in zip(long_forms, types, strict=True) if long)}
    connection.execute("DROP TABLE IF EXISTS asked; DROP TABLE IF EXISTS candidates")
    connection.from_arrow(mentions).create("asked")
    connection.from_arrow(matcher.match(sorted(queries))).create("candidates")
    rows = connection.sql(_JOIN).to_arrow_table()
    for number, file in enumerate(files):
        own = rows.filter(pc.equal(rows["file"], number)).select(LINK_SCHEMA.names).cast(LINK_SCHEMA)
        sink = pa.BufferOutputStream()
        pq.write_table(own, sink, compression="zstd")
        storage.write_whole(links.file(file.batch, file.name), sink.getvalue().to_pybytes())
    first = rows.filter(pc.equal(rows["rank"], 1))
    result.files += len(files)
    result.mentions += mentions.num_rows
    result.linked += first.num_rows
    result.ambiguous += pc.sum(pc.greater(first["candidates"], 1)).as_py() or 0
    result.steps.update(zip(first["step"].to_pylist(), first["source"].to_pylist(), strict=True))
    result.concepts.update(zip(first["concept_id"].to_pylist(), first["concept_name"].to_pylist(), strict=True))


def _mentions(file: ViewFile, number: int) -> pa.Table:
    """Return the mentions of a file, with the number of the file and the long form that the document gives each."""
    mentions = _read(file.mentions, ["mention_id", "doc_key", "start", "end", "text", "type"])
    documents = _read(file.documents, ["doc_key", "text"])
    keys, texts = mentions["doc_key"].to_pylist(), mentions["text"].to_pylist()
    spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for key, start, end in zip(keys, mentions["start"].to_pylist(), mentions["end"].to_pylist(), strict=True):
        spans[key].append((start, end))
    bracketed = documents.filter(pc.match_substring_regex(documents["text"], "[(（]"))
    defined = {
        key: abbreviations(text, spans[key])
        for key, text in zip(bracketed["doc_key"].to_pylist(), bracketed["text"].to_pylist(), strict=True)
        if key in spans
    }
    long_forms = [defined.get(key, {}).get(text) for key, text in zip(keys, texts, strict=True)]
    columns = {name: mentions[name] for name in ("mention_id", "doc_key", "text", "type")}
    columns |= {"long_form": pa.array(long_forms, pa.string()), "file": pa.array([number] * len(texts), pa.int32())}
    return pa.table(columns)


def _read(uri: str, columns: list[str]) -> pa.Table:
    fs, path = storage.arrow_file_system(uri)
    with storage.access(uri):
        return pq.ParquetFile(path, filesystem=fs).read(columns=columns)


_JOIN = """
WITH met AS (SELECT DISTINCT text, entity_type FROM candidates),
looked_up AS (
    SELECT asked.* EXCLUDE (long_form), met.text AS long_form, coalesce(met.text, asked.text) AS query
    FROM asked LEFT JOIN met ON met.text = asked.long_form AND met.entity_type = asked.type)
SELECT m.file, m.mention_id, m.doc_key, m.long_form, c.* EXCLUDE (text, entity_type)
FROM looked_up m JOIN candidates c ON c.text = m.query AND c.entity_type = m.type
ORDER BY m.file, m.doc_key, m.mention_id, c.rank
"""
