"""NCBI Taxonomy's dump: ``names.dmp``, and ``merged.dmp`` for identifiers that were given up.

The merged identifiers, some ten thousands, are held in memory.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from llmner.errors import InputError
from llmner.linking.lexicon import Kind, Name
from llmner.linking.readers.files import lines, one_file

_KINDS: dict[str, Kind] = {
    "scientific name": "preferred",
    "synonym": "synonym",
    "equivalent name": "synonym",
    "common name": "synonym",
    "genbank common name": "synonym",
    "acronym": "synonym",
    "genbank acronym": "synonym",
}


def read_taxdump(paths: Sequence[str]) -> Iterator[Name]:
    """Read the names of organisms.

    Raises:
        InputError: ``names.dmp`` is not among the files, or a line of it has another form.
    """
    names, merged = one_file(paths, "names.dmp"), one_file(paths, "merged.dmp")
    if names is None:
        raise InputError(f"{', '.join(paths)}: no names.dmp", hint="unpack taxdump.tar.gz and give names.dmp")
    retired: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines(merged) if merged is not None else ():
        old, new = _fields(line)
        retired[new].append(old)
    for number, line in enumerate(lines(names), 1):
        fields = _fields(line)
        if len(fields) != 4:
            raise InputError(f"{names}, line {number}: {len(fields)} fields, names.dmp has 4")
        taxon, text, _, given = fields
        if (kind := _KINDS.get(given)) is None:
            continue
        id = f"NCBITaxon:{taxon}"
        yield Name(id, text, kind, "ncbitaxon", "species")
        if kind == "preferred":
            for old in retired.get(taxon, ()):
                yield Name(f"NCBITaxon:{old}", text, "former", "ncbitaxon", "species", replaced_by=id)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.removesuffix("\t|").split("\t|\t")]
