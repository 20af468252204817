"""What a concept is: a CURIE, a concept type, and which entity types may mean it.

Invariant: a concept identifier is ``prefix:local``, without white space or ``|``; concept types are the few names of
``CONCEPT_TYPES`` whatever vocabulary or tag set a name comes from.
"""

import re
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

CONCEPT_TYPES = (
    "anatomy",
    "cell",
    "cell_line",
    "chemical",
    "device",
    "disease",
    "gene",
    "measurement",
    "other",
    "phenotype",
    "procedure",
    "process",
    "species",
)

# Entity types of tag sets, lower case, and the concept types that such a mention may be linked to, the nearest first.
_ACCEPTED = {
    ("disease", "dis", "mondo"): ("disease", "phenotype"),
    ("cancer", "pathological_formation"): ("disease", "phenotype"),
    ("sym", "symptom", "phenotype"): ("phenotype", "disease"),
    ("chemical", "dru", "drug", "simple_chemical", "chebi", "amino_acid"): ("chemical",),
    ("gene", "protein", "dna", "rna", "pr", "gene_or_gene_product", "regulon-operon", "complex"): ("gene",),
    ("species", "organism", "ncbitaxon", "mic"): ("species",),
    ("cell", "cell_type", "cl"): ("cell",),
    ("cell_line",): ("cell_line", "cell"),
    ("anatomy", "bod", "body", "uberon", "organ", "tissue", "multi-tissue_structure", "anatomical_system"): (
        "anatomy",
    ),
    ("organism_substance", "organism_subdivision", "immaterial_anatomical_entity"): ("anatomy",),
    ("developing_anatomical_structure", "cellular_component", "go_cc"): ("anatomy", "process"),
    ("go_bp", "go_mf", "mop", "physiology"): ("process",),
    ("pro", "treatment"): ("procedure",),
    ("ite", "test"): ("measurement", "procedure"),
    ("equ", "device"): ("device",),
}
ACCEPTED_TYPES = MappingProxyType({name: types for names, types in _ACCEPTED.items() for name in names})

# Where the identifiers of a prefix can be looked up; the spelling of the prefixes is Biolink's where it has them.
PREFIXES = MappingProxyType(
    {
        "CHEBI": "http://purl.obolibrary.org/obo/CHEBI_",
        "CL": "http://purl.obolibrary.org/obo/CL_",
        "CLO": "http://purl.obolibrary.org/obo/CLO_",
        "CVCL": "https://www.cellosaurus.org/CVCL_",
        "DOID": "http://purl.obolibrary.org/obo/DOID_",
        "DRUGBANK": "https://go.drugbank.com/drugs/",
        "EFO": "http://www.ebi.ac.uk/efo/EFO_",
        "ENSEMBL": "http://identifiers.org/ensembl/",
        "GO": "http://purl.obolibrary.org/obo/GO_",
        "HGNC": "http://identifiers.org/hgnc/",
        "HP": "http://purl.obolibrary.org/obo/HP_",
        "MESH": "http://id.nlm.nih.gov/mesh/",
        "MGI": "http://identifiers.org/mgi/",
        "MONDO": "http://purl.obolibrary.org/obo/MONDO_",
        "NCBIGene": "http://identifiers.org/ncbigene/",
        "NCBITaxon": "http://purl.obolibrary.org/obo/NCBITaxon_",
        "NCIT": "http://purl.obolibrary.org/obo/NCIT_",
        "OMIM": "http://identifiers.org/omim/",
        "PMC": "http://identifiers.org/pmc/PMC",
        "PMID": "http://www.ncbi.nlm.nih.gov/pubmed/",
        "PR": "http://purl.obolibrary.org/obo/PR_",
        "RGD": "http://identifiers.org/rgd/",
        "SO": "http://purl.obolibrary.org/obo/SO_",
        "UBERON": "http://purl.obolibrary.org/obo/UBERON_",
        "UMLS": "http://identifiers.org/umls/",
        "UNII": "http://identifiers.org/unii/",
        # Ours: documents without a public identifier, and names that no lexicon has.
        "document": "urn:llmner:document:",
        "unlinked": "urn:llmner:unlinked:",
        # The lexicon of the sample.
        "SAMPLE": "urn:llmner:sample:",
    }
)

_TYPE_OF_PREFIX = {
    "CHEBI": "chemical",
    "CL": "cell",
    "CLO": "cell_line",
    "CVCL": "cell_line",
    "DOID": "disease",
    "DRUGBANK": "chemical",
    "ENSEMBL": "gene",
    "GO": "process",
    "HGNC": "gene",
    "HP": "phenotype",
    "MGI": "gene",
    "MONDO": "disease",
    "NCBIGene": "gene",
    "NCBITaxon": "species",
    "OMIM": "disease",
    "PR": "gene",
    "RGD": "gene",
    "UBERON": "anatomy",
    "UNII": "chemical",
}

_CURIE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*:[^\s|<>\"{}\\^`]+")


@dataclass(frozen=True)
class Concept:
    """A concept in a collection of documents.

    Attributes:
        id: Its CURIE.
        name: Its name.
        type: One of ``CONCEPT_TYPES``, or the name of a type of the user's.
        documents: Documents that mention it.
    """

    id: str
    name: str
    type: str
    documents: int


@dataclass(frozen=True)
class CoOccurrence:
    """Two concepts that documents mention together.

    Attributes:
        subject: CURIE of the one.
        object: CURIE of the other.
        documents: Documents that mention both.
        log_likelihood: Log-likelihood ratio over documents.
    """

    subject: str
    object: str
    documents: int
    log_likelihood: float


def is_curie(text: str) -> bool:
    """Tell whether a text is an identifier of the form ``prefix:local``."""
    return _CURIE.fullmatch(text) is not None


def type_of_curie(curie: str) -> str | None:
    """Return the concept type that all identifiers of a prefix have; None where they have several, or none is known."""
    return _TYPE_OF_PREFIX.get(curie.partition(":")[0])


def address(curie: str) -> str | None:
    """Return the page of an identifier on the web; None where none is known."""
    prefix, _, local = curie.partition(":")
    start = PREFIXES.get(prefix, "")
    return f"{start}{quote(local)}" if start.startswith("http") else None


def accepted_types(entity_type: str) -> tuple[str, ...]:
    """Return the concept types that a mention may be linked to, the nearest first.

    A type that is not known accepts concepts of its own name, lower case, so a lexicon can be made for any tag set.
    """
    name = entity_type.lower()
    return ACCEPTED_TYPES.get(name, (name,))
