"""MeSH as NLM publishes it in ASCII (``d2026.bin``, ``c2026.bin``): a ``FIELD = value`` a line, record by record."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from llmner.linking.lexicon import Kind, Name
from llmner.linking.readers.files import lines
from llmner.linking.readers.mesh import types_of_semantic_types, types_of_trees

_BEGIN = "*NEWRECORD"


def read_mesh_ascii(paths: Sequence[str]) -> Iterator[Name]:
    """Read descriptors and supplementary records; qualifiers are passed over."""
    for path in paths:
        fields: defaultdict[str, list[str]] = defaultdict(list)
        for line in lines(path):
            if line.strip() == _BEGIN:
                yield from _names(fields)
                fields.clear()
            elif " = " in line:
                field, _, value = line.partition(" = ")
                fields[field.strip()].append(value.strip())
        yield from _names(fields)


def _names(fields: dict[str, list[str]]) -> Iterator[Name]:
    if "MH" in fields:
        preferred, types = fields["MH"][0], types_of_trees(fields.get("MN", ()))
    elif "NM" in fields:
        preferred, types = fields["NM"][0], types_of_semantic_types(fields.get("ST", ()))
    else:
        return
    entries = [e for field in ("PRINT ENTRY", "ENTRY", "SY") for e in fields.get(field, ())]
    texts = [entry.split("|")[0].strip() for entry in entries]
    for text in dict.fromkeys([preferred, *texts]):
        for type in types:
            kind: Kind = "preferred" if text == preferred else "synonym"
            yield Name(f"MESH:{fields['UI'][0]}", text, kind, "mesh", type)
