"""What MeSH's tree numbers and UMLS' semantic types say about a concept's type."""

from collections.abc import Iterable

# The longest beginning of a tree number that is listed decides.
_TREES = {
    "A": "anatomy",
    "A11": "cell",
    "A11.251": "cell_line",
    "B": "species",
    "C": "disease",
    "D": "chemical",
    "E": "procedure",
    "E07": "device",
    "F01": "phenotype",
    "F02": "process",
    "F03": "disease",
    "G": "process",
}

_SEMANTIC_TYPES = {
    "anatomy": "T017 T018 T021 T022 T023 T024 T026 T029 T030 T031",
    "cell": "T025",
    "chemical": "T103 T104 T109 T114 T116 T120 T121 T122 T123 T125 T126 T127 T129 T130 T131 T195 T196 T197 T200",
    "device": "T074 T075 T203",
    "disease": "T019 T020 T037 T046 T047 T048 T049 T050 T190 T191",
    "gene": "T028",
    "measurement": "T034 T201",
    "phenotype": "T033 T184",
    "procedure": "T058 T059 T060 T061 T063",
    "process": "T038 T039 T040 T041 T042 T043 T044 T045",
    "species": "T001 T002 T004 T005 T007 T008 T010 T011 T012 T013 T014 T015 T016 T194 T204",
}
_TYPE_OF_SEMANTIC_TYPE = {code: type for type, codes in _SEMANTIC_TYPES.items() for code in codes.split()}


def types_of_trees(numbers: Iterable[str]) -> list[str]:
    """Return the concept types of a descriptor, sorted; ``other`` for one without tree numbers."""
    types = set()
    for number in numbers:
        starts = (number[:7], number[:3], number[:1])
        types.add(next((_TREES[start] for start in starts if start in _TREES), "other"))
    return sorted(types) or ["other"]


def types_of_semantic_types(codes: Iterable[str]) -> list[str]:
    """Return the concept types of UMLS semantic types, sorted."""
    return sorted({_TYPE_OF_SEMANTIC_TYPE.get(code, "other") for code in codes}) or ["other"]
