"""UMLS in Rich Release Format: names from ``MRCONSO.RRF``, semantic types from ``MRSTY.RRF``.

The semantic types of all concepts are held in memory, about 100 bytes each. Only names that UMLS does not suppress
are read, in English and Chinese.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from llmner.errors import InputError
from llmner.linking.lexicon import Kind, Name
from llmner.linking.readers.files import lines, one_file
from llmner.linking.readers.mesh import types_of_semantic_types

_LANGUAGES = ("ENG", "CHI")
_CONSO_FIELDS = 19  # with the empty one behind the last bar


def read_rrf(paths: Sequence[str]) -> Iterator[Name]:
    """Read the names of UMLS' concepts.

    Raises:
        InputError: One of the two files is missing, or a line of MRCONSO has another form.
    """
    names, types = one_file(paths, "MRCONSO"), one_file(paths, "MRSTY")
    if names is None or types is None:
        raise InputError(f"{', '.join(paths)}: MRCONSO.RRF and MRSTY.RRF are needed", hint="give both files")
    codes: defaultdict[str, set[str]] = defaultdict(set)
    for line in lines(types):
        concept, code, _ = line.split("|", 2)
        codes[concept].add(code)
    for number, line in enumerate(lines(names), 1):
        fields = line.split("|")
        if len(fields) != _CONSO_FIELDS:
            raise InputError(f"{names}, line {number}: {len(fields) - 1} fields, MRCONSO has {_CONSO_FIELDS - 1}")
        concept, language, status, preferred, text, suppressed = (fields[i] for i in (0, 1, 2, 6, 14, 16))
        if language in _LANGUAGES and suppressed == "N":
            kind: Kind = "preferred" if status == "P" and preferred == "Y" else "synonym"
            for type in types_of_semantic_types(codes[concept]):
                yield Name(f"UMLS:{concept}", text, kind, "umls", type)
