"""Writers of the graph, one file a format, one registry.

A writer takes the rows of a graph, or of the difference of two, and a folder. It writes sorted rows, so the same graph
gives the same files.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from llmner.graph.snapshot import Rows
from llmner.graph.writers.bioc import write_bioc
from llmner.graph.writers.biocypher import write_biocypher
from llmner.graph.writers.kgx import write_kgx
from llmner.graph.writers.neo4j import write_neo4j
from llmner.graph.writers.pubtator import write_pubtator
from llmner.graph.writers.rdf import write_rdf

Writer = Callable[[Rows, str], None]

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "kgx": write_kgx,
        "neo4j": write_neo4j,
        "rdf": write_rdf,
        "pubtator": write_pubtator,
        "bioc": write_bioc,
        "biocypher": write_biocypher,
    }
)
