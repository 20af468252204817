"""RDF as N-Quads: documents, concepts and edges, each mention with its offsets (NIF), and where it comes from (PROV).

Invariant: each quad stands once. A difference is two files, the quads that are new and those that are gone; who adds
the first and deletes the second has the new graph.
"""

from urllib.parse import quote

from llmner import storage
from llmner.concepts import PREFIXES
from llmner.dataset.view import quoted
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import copy_lines, write_text

_OURS = "urn:llmner:"
_OTHERWISE = "https://bioregistry.io/"  # resolves identifiers of any known prefix, `prefix:local`

_NAMES = {
    "a": "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    "label": "http://www.w3.org/2000/01/rdf-schema#label",
    "title": "http://purl.org/dc/terms/title",
    "language": "http://purl.org/dc/terms/language",
    "date": "http://purl.org/dc/terms/date",
    "identifier": "http://purl.org/dc/terms/identifier",
    "derived": "http://www.w3.org/ns/prov#wasDerivedFrom",
    "attributed": "http://www.w3.org/ns/prov#wasAttributedTo",
    "context": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#referenceContext",
    "begin": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#beginIndex",
    "end": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#endIndex",
    "anchor": "http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#anchorOf",
    "means": "http://www.w3.org/2005/11/its/rdf#taIdentRef",
    "confidence": "http://www.w3.org/2005/11/its/rdf#taConfidence",
    "subject": "http://www.w3.org/1999/02/22-rdf-syntax-ns#subject",
    "object": "http://www.w3.org/1999/02/22-rdf-syntax-ns#object",
}
_DOCUMENT = "<http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#Context>"
_MENTION = "<http://persistence.uni-leipzig.org/nlp2rdf/ontologies/nif-core#Phrase>"

_OCCURRENCES = """
    SELECT o.mention_id, d.id AS document, c.id AS concept, o.start, o."end", o.text, o.score
    FROM {schema}.occurrences o JOIN {schema}.documents d ON d.number = o.document
    JOIN {schema}.concepts c ON c.number = o.concept"""


def write_rdf(rows: Rows, out: str) -> None:
    """Write ``graph.nq``, and for a difference ``deleted.nq``; ``provenance.nq`` says where the graph comes from."""
    graph = f"{_OURS}graph:{quote(rows.view.uri.rpartition('/')[2])}"
    _define_macros(rows, graph)
    new = _quads("new") if rows.since is None else f"{_quads('new')} EXCEPT {_quads('old')}"
    copy_lines(rows.connection, f"{new} ORDER BY line", storage.join(out, "graph.nq"))
    if rows.since is not None:
        gone = f"{_quads('old')} EXCEPT {_quads('new')} ORDER BY line"
        copy_lines(rows.connection, gone, storage.join(out, "deleted.nq"))
    facts = (("a", "http://www.w3.org/ns/prov#Entity"), ("attributed", f"{_OURS}software"))
    write_text(
        storage.join(out, "provenance.nq"),
        "".join(f"<{graph}> <{_NAMES[name]}> <{value}> <{graph}> .\n" for name, value in facts),
    )


def _define_macros(rows: Rows, graph: str) -> None:
    prefixes = ", ".join(f"'{prefix}': '{iri}'" for prefix, iri in PREFIXES.items())
    rows.connection.execute(f"""
        CREATE OR REPLACE MACRO iri(curie) AS '<' || coalesce(
            MAP {{{prefixes}}}[split_part(curie, ':', 1)] || curie[strpos(curie, ':') + 1:],
            '{_OTHERWISE}' || curie) || '>';
        CREATE OR REPLACE MACRO literal(value) AS '"' || replace(replace(value, '\\', '\\\\'), '"', '\\"') || '"';
        CREATE OR REPLACE MACRO typed(value, type) AS
            '"' || value || '"^^<http://www.w3.org/2001/XMLSchema#' || type || '>';
        CREATE OR REPLACE MACRO quad(subject, predicate, object) AS
            subject || ' ' || predicate || ' ' || object || ' <{quoted(graph)}> .';
    """)


def _quads(schema: str) -> str:
    """SQL of the quads of a schema's graph."""
    parts = [
        _of(f"{schema}.documents", "iri(id)", _DOCUMENT_TRIPLES),
        _of(f"{schema}.concepts", "iri(id)", _CONCEPT_TRIPLES),
        _of(f"{schema}.mentions", "iri(subject)", (("mentions", "iri(object)"),)),
        _of(f"{schema}.nested_in", "iri(subject)", (("nested_in", "iri(object)"),)),
        _of(f"{schema}.co_occurs", _PAIR, _PAIR_TRIPLES),
        _of(f"({_OCCURRENCES.format(schema=schema)})", _MENTION_IRI, _MENTION_TRIPLES),
    ]
    return f"SELECT DISTINCT line FROM ({' UNION ALL '.join(parts)})"


def _of(rows: str, subject: str, triples: tuple[tuple[str, str], ...]) -> str:
    """SQL of the quads of rows; an object that is null makes none."""
    quads = ", ".join(f"quad({subject}, '<{_NAMES.get(name, _OURS + name)}>', {object})" for name, object in triples)
    return f"SELECT line FROM (SELECT unnest([{quads}]) AS line FROM {rows}) WHERE line IS NOT NULL"


_DOCUMENT_TRIPLES = (
    ("a", f"'{_DOCUMENT}'"),
    ("title", "literal(title)"),
    ("language", "literal(lang)"),
    ("date", "typed(year, 'gYear')"),
    ("identifier", "literal(source_id)"),
)
_CONCEPT_TRIPLES = (
    ("a", f"'<{_OURS}type:' || type || '>'"),
    ("label", "literal(name)"),
)
_PAIR = f"'<{_OURS}pair:' || md5(subject || ' ' || object) || '>'"
_PAIR_TRIPLES = (
    ("a", f"'<{_OURS}CoOccurrence>'"),
    ("subject", "iri(subject)"),
    ("object", "iri(object)"),
    ("documents", "typed(documents, 'integer')"),
    ("sentences", "typed(sentences, 'integer')"),
    ("pmi", "typed(pmi, 'double')"),
    ("log_likelihood", "typed(log_likelihood, 'double')"),
)
_MENTION_IRI = f"'<{_OURS}mention:' || mention_id || '>'"
_MENTION_TRIPLES = (
    ("a", f"'{_MENTION}'"),
    ("context", "iri(document)"),
    ("derived", "iri(document)"),
    ("begin", "typed(start, 'nonNegativeInteger')"),
    ("end", "typed(\"end\", 'nonNegativeInteger')"),
    ("anchor", "literal(regexp_replace(text, '[\\s\\pC]', ' ', 'g'))"),
    ("means", "iri(concept)"),
    ("confidence", "typed(score, 'double')"),
)
