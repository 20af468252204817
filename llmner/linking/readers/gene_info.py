"""NCBI Gene's ``gene_info``: one gene a line, of one organism or of all."""

from collections.abc import Iterator, Sequence

from llmner.linking.lexicon import Kind, Name
from llmner.linking.readers.files import table

_NOTHING = "-"
_COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("Symbol", "preferred"),
    ("Full_name_from_nomenclature_authority", "synonym"),
    ("description", "synonym"),
    ("Synonyms", "synonym"),
    ("Other_designations", "related"),
)


def read_gene_info(paths: Sequence[str]) -> Iterator[Name]:
    """Read symbols, full names and aliases of genes."""
    for path in paths:
        for _, row in table(path, ("GeneID", "Symbol", "Synonyms", "description")):
            seen = {_NOTHING, ""}
            for column, kind in _COLUMNS:
                for text in row.get(column, _NOTHING).split("|"):
                    if text not in seen:
                        seen.add(text)
                        yield Name(f"NCBIGene:{row['GeneID']}", text, kind, "ncbigene", "gene")
