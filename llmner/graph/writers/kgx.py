"""KGX: nodes and edges as JSON lines, and the same as TSV, in terms of the Biolink model.

Invariant: every record is one that the classes of the Biolink model take, without further columns; TSV has no ``|`` in
a text, because its readers split there. What the model has no slot for, such as a year or an offset, is left out.
"""

from llmner import storage
from llmner.graph.relations import CO_OCCURS, CONCEPTS, DOCUMENTS, MENTIONS, NESTED_IN, Relation
from llmner.graph.snapshot import Rows
from llmner.graph.writers.files import copy, copy_lines

CATEGORIES = {
    "anatomy": "AnatomicalEntity",
    "cell": "Cell",
    "cell_line": "CellLine",
    "chemical": "ChemicalEntity",
    "device": "Device",
    "disease": "Disease",
    "gene": "Gene",
    "phenotype": "PhenotypicFeature",
    "procedure": "Procedure",
    "process": "BiologicalProcess",
    "species": "OrganismTaxon",
}
_OTHERWISE = "NamedThing"

NODE_COLUMNS = ("id", "category", "name", "publication_type")
EDGE_COLUMNS = (
    "id",
    "category",
    "subject",
    "predicate",
    "object",
    "original_predicate",
    "publications",
    "primary_knowledge_source",
    "knowledge_level",
    "agent_type",
    "evidence_count",
    "has_confidence_score",
)
LISTS = ("category", "publication_type", "publications")

_TSV = "FORMAT csv, HEADER, DELIMITER '\t', QUOTE '', ESCAPE ''"
_SOURCE = "infores:llmner"


def write_kgx(rows: Rows, out: str) -> None:
    """Write ``nodes`` and ``edges``, and for a difference the identifiers of what is gone as ``deleted_*``."""
    for name, sql, columns in (("nodes", _nodes(rows), NODE_COLUMNS), ("edges", _edges(rows), EDGE_COLUMNS)):
        pairs = ", ".join(f"'{c}', {f'if({c} IS NULL, NULL, [{c}])' if c in LISTS else c}" for c in columns)
        # An empty patch leaves out what is null.
        lines = f"SELECT json_merge_patch('{{}}', json_object({pairs}))::VARCHAR FROM ({sql}) ORDER BY id"
        copy_lines(rows.connection, lines, storage.join(out, f"{name}.jsonl"))
        cells = ", ".join(f"replace({c}::VARCHAR, '|', ' ') AS {c}" for c in columns)
        copy(rows.connection, f"SELECT {cells} FROM ({sql}) ORDER BY id", storage.join(out, f"{name}.tsv"), _TSV)
    if rows.since is not None:
        nodes = " UNION ALL ".join(f"SELECT id FROM ({rows.deleted(r)})" for r in (DOCUMENTS, CONCEPTS))
        edges = " UNION ALL ".join(
            f"SELECT {_edge_id(r)} AS id FROM ({rows.deleted(r)})" for r in (MENTIONS, CO_OCCURS, NESTED_IN)
        )
        for name, sql in (("deleted_nodes", nodes), ("deleted_edges", edges)):
            lines = f"SELECT json_object('id', id)::VARCHAR FROM ({sql}) ORDER BY id"
            copy_lines(rows.connection, lines, storage.join(out, f"{name}.jsonl"))


def _nodes(rows: Rows) -> str:
    categories = " ".join(f"WHEN '{type}' THEN 'biolink:{category}'" for type, category in CATEGORIES.items())
    return f"""
        SELECT id, 'biolink:Publication' AS category, title AS name, 'dctypes:Text' AS publication_type
        FROM ({rows.rows(DOCUMENTS)})
        UNION ALL
        SELECT id, CASE type {categories} ELSE 'biolink:{_OTHERWISE}' END, name, NULL FROM ({rows.rows(CONCEPTS)})"""


def _edges(rows: Rows) -> str:
    mentions = "InformationContentEntityToNamedThingAssociation"
    together = "occurs_together_in_literature_with"
    return " UNION ALL ".join(
        (
            _edge(rows, MENTIONS, mentions, "mentions", "not_provided", "subject", "count", "score"),
            _edge(rows, CO_OCCURS, "Association", together, "text_co_occurrence", "NULL", "documents", "NULL"),
            _edge(rows, NESTED_IN, "Association", "related_to", "not_provided", "NULL", "count", "NULL"),
        )
    )


def _edge(
    rows: Rows, relation: Relation, category: str, predicate: str, level: str, publication: str, count: str, score: str
) -> str:
    original = f"'llmner:{relation.name}'" if predicate == "related_to" else "NULL"
    return f"""
        SELECT {_edge_id(relation)} AS id, 'biolink:{category}' AS category,
            subject, 'biolink:{predicate}' AS predicate, object,
            {original} AS original_predicate, {publication}::VARCHAR AS publications,
            '{_SOURCE}' AS primary_knowledge_source, '{level}' AS knowledge_level, 'text_mining_agent' AS agent_type,
            {count} AS evidence_count, {score}::DOUBLE AS has_confidence_score
        FROM ({rows.rows(relation)})"""


def _edge_id(relation: Relation) -> str:
    return f"subject || '-{relation.name}-' || object"
