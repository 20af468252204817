"""MeSH as NLM publishes it in XML: descriptors and supplementary records.

Invariant: a record at a time is in memory; no entity is expanded and no DTD read. Permuted terms ("House, Slaughter")
are left out, because no text has them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from llmner.errors import InputError
from llmner.linking.lexicon import Name
from llmner.linking.readers.files import attribute, open_bytes
from llmner.linking.readers.mesh import types_of_trees

_RECORDS = ("DescriptorRecord", "SupplementalRecord")
_CLASSES = {"1": "chemical", "2": "procedure", "3": "disease", "4": "species"}


def read_mesh_xml(paths: Sequence[str]) -> Iterator[Name]:
    """Read descriptors (``desc2026.xml``) and supplementary records (``supp2026.xml``).

    Raises:
        InputError: A file that is not XML.
    """
    for path in paths:
        with open_bytes(path) as stream:
            try:
                records = etree.iterparse(stream, tag=_RECORDS, resolve_entities=False, load_dtd=False, no_network=True)
                for _, record in records:
                    yield from _names(record)
                    record.clear()
                    while record.getprevious() is not None:
                        del record.getparent()[0]
            except etree.XMLSyntaxError as e:
                raise InputError(f"{path}: not MeSH in XML: {e}") from e


def _names(record: Any) -> Iterator[Name]:
    if record.tag == "DescriptorRecord":
        id, preferred = attribute(record, "DescriptorUI"), attribute(record, "DescriptorName/String")
        types = types_of_trees(tree.text for tree in record.iterfind("TreeNumberList/TreeNumber"))
    else:
        id, preferred = attribute(record, "SupplementalRecordUI"), attribute(record, "SupplementalRecordName/String")
        types = [_CLASSES.get(record.get("SCRClass"), "other")]
    terms = record.iterfind("ConceptList/Concept/TermList/Term")
    texts = [attribute(term, "String") for term in terms if term.get("IsPermutedTermYN") != "Y"]
    for text in dict.fromkeys([preferred, *texts]):
        for type in types:
            yield Name(f"MESH:{id}", text, "preferred" if text == preferred else "synonym", "mesh", type)
