"""Reading the files of an export row by row, and what is wrong with a row by itself.

Invariant: nothing raises for what a file holds; what cannot be read is a row with a problem.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping

import pyarrow.parquet as pq

from llmner import storage
from llmner.graph.check_texts import bioc_rows, pubtator_rows
from llmner.graph.relations import RELATIONS, ColumnType, Relation
from llmner.graph.row import Row
from llmner.graph.writers.kgx import EDGE_COLUMNS, LISTS, NODE_COLUMNS
from llmner.graph.writers.neo4j import header

_SEPARATORS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_NULLABLE_KGX = {"name", "publication_type", "original_predicate", "publications", "has_confidence_score"}
_NUMBERS_KGX: dict[str, ColumnType] = {"evidence_count": "BIGINT", "has_confidence_score": "DOUBLE"}
_QUAD = re.compile(
    r'<([^<>"{}|^`\\\x00-\x20]+)> <([^<>"{}|^`\\\x00-\x20]+)> '
    r'(?:<([^<>"{}|^`\\\x00-\x20]+)>|"(?:[^"\\\n\r]|\\[tbnrf"\'\\])*"(?:\^\^<[^<>\x00-\x20]+>)?) '
    r'<[^<>"{}|^`\\\x00-\x20]+> \.'
)
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_EDGES = ("urn:llmner:mentions", "urn:llmner:nested_in")


def rows_of(out: str, format: str, *, difference: bool) -> Iterator[Row]:
    """Yield the rows of an export's files.

    Args:
        out: Folder of the export.
        format: Its format.
        difference: Whether it is one: then there are files of what is deleted, too.
    """
    yield from _READERS[format](out, difference)


def _tables(out: str, difference: bool) -> Iterator[Row]:
    """Yield the relations as Neo4j and BioCypher have them: CSV with typed headers, or Parquet."""
    names = set(storage.list_names(out))
    for relation in RELATIONS:
        if f"{relation.name}.parquet" in names:
            yield from _parquet(out, f"{relation.name}.parquet", relation)
        else:
            yield from _csv(out, f"{relation.name}.csv", relation, list(header(relation).values()))
        if difference:
            file = f"deleted_{relation.name}.csv"
            for line, cells in _cells(out, file, ",", '"'):
                if line > 1:
                    yield Row(file, line, keys=((relation.name, " ".join(cells)),))


def _csv(out: str, file: str, relation: Relation, names: list[str]) -> Iterator[Row]:
    for line, cells in _cells(out, file, ",", '"'):
        if line == 1:
            if cells != names:
                yield Row(file, line, (f"the header is {cells}, not {names}",))
        elif len(cells) != len(names):
            yield Row(file, line, (f"{len(cells)} fields, the header has {len(names)}",))
        else:
            yield _row(file, line, relation, dict(zip(relation.columns, cells, strict=True)))


def _cells(out: str, file: str, delimiter: str, quote: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each line; a line break inside quotes shows as a line with another number of fields."""
    quoting = {"quotechar": quote} if quote is not None else {"quoting": csv.QUOTE_NONE}
    for number, line in _lines(out, file):
        yield number, next(csv.reader([line], delimiter=delimiter, **quoting), [])


def _lines(out: str, file: str) -> Iterator[tuple[int, str]]:
    fs, path = storage.file_system(storage.join(out, file))
    with storage.access(storage.join(out, file)), fs.open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            yield number, line.decode("utf-8", errors="replace").removesuffix("\n")


def _parquet(out: str, file: str, relation: Relation) -> Iterator[Row]:
    fs, path = storage.arrow_file_system(storage.join(out, file))
    parquet, line = pq.ParquetFile(path, filesystem=fs), 0
    if len(parquet.schema_arrow) != len(relation.columns):
        yield Row(file, 0, (f"{len(parquet.schema_arrow)} columns, not {len(relation.columns)}",))
        return
    for batch in parquet.iter_batches():
        for values in batch.to_pylist():
            line += 1
            texts = ("" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in values.values())
            yield _row(file, line, relation, dict(zip(relation.columns, texts, strict=True)))


def _row(file: str, line: int, relation: Relation, values: Mapping[str, str]) -> Row:
    problems = [f"{name} is empty" for name in relation.required if values[name] == ""]
    for name, type in relation.columns.items():
        problems += _wrong(name, type, values[name])
    key = " ".join(values[name] for name in relation.key)
    ends = () if relation.ends is None else zip(relation.ends, relation.key, strict=True)
    return Row(
        file,
        line,
        tuple(problems),
        tuple(values[name] for name in relation.key),
        ((relation.name, key),),
        tuple((of.name, values[name]) for of, name in ends),
    )


def _wrong(name: str, type: ColumnType, text: str) -> Iterator[str]:
    """Yield what is wrong with a value; an empty one is null."""
    if text == "":
        return
    if type == "VARCHAR":
        if _SEPARATORS.search(text):
            yield f"{name} holds a separator: {text[:60]!r}"
    elif type == "BOOLEAN":
        if text not in ("true", "false"):
            yield f"{name} is no truth value: {text[:60]!r}"
    elif not _is_number(text, whole=type != "DOUBLE"):
        yield f"{name} is no {'whole' if type != 'DOUBLE' else 'finite'} number: {text[:60]!r}"


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        return math.isfinite(int(text) if whole else float(text))
    except ValueError:
        return False


def _kgx(out: str, difference: bool) -> Iterator[Row]:
    for name, columns in (("nodes", NODE_COLUMNS), ("edges", EDGE_COLUMNS)):
        for line, text in _lines(out, f"{name}.jsonl"):
            yield _kgx_json(f"{name}.jsonl", line, text, name, columns)
        for line, cells in _cells(out, f"{name}.tsv", "\t", None):
            if line == 1 and cells != list(columns):
                yield Row(f"{name}.tsv", line, (f"the header is {cells}, not {list(columns)}",))
            elif line > 1 and len(cells) != len(columns):
                yield Row(f"{name}.tsv", line, (f"{len(cells)} fields, the header has {len(columns)}",))
            elif line > 1:
                yield _kgx_row(f"{name}.tsv", line, name, dict(zip(columns, cells, strict=True)), "tsv")
        if difference:
            for line, text in _lines(out, f"deleted_{name}.jsonl"):
                yield _kgx_deleted(f"deleted_{name}.jsonl", line, text, name)


def _kgx_deleted(file: str, line: int, text: str, name: str) -> Row:
    try:
        return Row(file, line, keys=((f"{name} jsonl", json.loads(text)["id"]),))
    except (ValueError, TypeError, KeyError) as e:
        return Row(file, line, (f"not a JSON object with an id: {e!r}",))


def _kgx_json(file: str, line: int, text: str, name: str, columns: tuple[str, ...]) -> Row:
    try:
        record = json.loads(text, parse_constant=str)
        values = {c: record.get(c, "") for c in columns}
    except (ValueError, AttributeError) as e:
        return Row(file, line, (f"not a JSON object: {e}",))
    problems = [f"unknown field {key}" for key in record if key not in columns]
    problems += [f"{c} is no list" for c in LISTS if c in record and not isinstance(record[c], list)]
    flat = {c: "|".join(map(str, v)) if isinstance(v, list) else str(v) for c, v in values.items()}
    row = _kgx_row(file, line, name, flat, "jsonl")
    return Row(file, line, (*problems, *row.problems), row.identifiers, row.keys, row.ends)


def _kgx_row(file: str, line: int, name: str, values: Mapping[str, str], form: str) -> Row:
    required = [c for c in values if c not in _NULLABLE_KGX]
    problems = [f"{c} is empty" for c in required if values[c] == ""]
    for c, text in values.items():
        problems += _wrong(c, _NUMBERS_KGX.get(c, "VARCHAR"), text)
        if form == "tsv" and "|" in text:
            problems.append(f"{c} holds a separator: {text[:60]!r}")
    ends = (values["subject"], values["object"]) if name == "edges" else ()
    group = f"{name} {form}"
    return Row(
        file,
        line,
        tuple(problems),
        ends or (values["id"],),
        ((group, values["id"]),),
        tuple((f"nodes {form}", end) for end in ends),
    )


def _rdf(out: str, difference: bool) -> Iterator[Row]:
    for file in ("graph.nq", "deleted.nq") if difference else ("graph.nq",):
        for line, text in _lines(out, file):
            if (found := _QUAD.fullmatch(text)) is None:
                yield Row(file, line, (f"not a quad: {text[:80]!r}",))
                continue
            subject, predicate, object = found.groups()
            keys = (("quads", text),)
            typed = (("resources", subject),) if predicate == _TYPE and file == "graph.nq" else ()
            ends = (("resources", subject), ("resources", object)) if predicate in _EDGES else ()
            yield Row(file, line, keys=(*keys, *typed), ends=ends)


_READERS: Mapping[str, Callable[[str, bool], Iterator[Row]]] = {
    "neo4j": _tables,
    "biocypher": _tables,
    "kgx": _kgx,
    "rdf": _rdf,
    "pubtator": lambda out, _: pubtator_rows(_lines(out, "documents.pubtator")),
    "bioc": lambda out, _: bioc_rows(storage.join(out, "documents.xml")),
}
