"""Ontologies in OBO format, such as MONDO, HPO, ChEBI, GO, Cellosaurus.

Exact synonyms are synonyms, related ones related; broader and narrower ones are names of something else and left
out. An obsolete term is read where it says what replaced it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from llmner.linking.lexicon import Kind, Name
from llmner.linking.readers.files import lines

_SYNONYM = re.compile(r'"((?:[^"\\]|\\.)*)"\s+(EXACT|RELATED)\b')
_KINDS: dict[str, Kind] = {"EXACT": "synonym", "RELATED": "related"}
_ESCAPED = re.compile(r"\\(.)")


def read_obo(paths: Sequence[str]) -> Iterator[Name]:
    """Read the terms of ontologies; the version is the file's ``data-version``."""
    for path in paths:
        version, stanza = "", ""
        term: defaultdict[str, list[str]] = defaultdict(list)
        for line in lines(path):
            if line.startswith("["):
                yield from _names(term, version)
                term.clear()
                stanza = line.strip()
            elif not stanza and line.startswith("data-version:"):
                version = line.partition(":")[2].strip()
            elif stanza == "[Term]" and ": " in line:
                tag, _, value = line.partition(": ")
                term[tag].append(value)
        yield from _names(term, version)


def _names(term: dict[str, list[str]], version: str) -> Iterator[Name]:
    if "id" not in term or "name" not in term:
        return
    id, name = _first(term["id"]), _ESCAPED.sub(r"\1", term["name"][0])
    source = id.partition(":")[0].lower()
    replaced_by = _first(term["replaced_by"]) if "replaced_by" in term else None
    if "true" in (_first(value) for value in term.get("is_obsolete", [""])):
        if replaced_by is not None:
            name = name.removeprefix("obsolete ")
            yield Name(id, name, "former", source, version=version, replaced_by=replaced_by)
        return
    yield Name(id, name, "preferred", source, version=version)
    for value in term.get("synonym", ()):
        if (found := _SYNONYM.match(value)) is not None:
            yield Name(id, _ESCAPED.sub(r"\1", found[1]), _KINDS[found[2]], source, version=version)
    for value in term.get("alt_id", ()):
        yield Name(_first(value), name, "former", source, version=version, replaced_by=id)


def _first(value: str | list[str]) -> str:
    """Return the value itself, without trailing modifiers and comments."""
    text = value if isinstance(value, str) else value[0]
    return (text.split() or [""])[0]
