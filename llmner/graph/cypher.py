"""What the databases that speak Cypher have in common."""

from llmner.graph.relations import Relation


def deletion(relation: Relation, key: str) -> str:
    """Return the statement that deletes a row's node with its edges, or its edge.

    Args:
        relation: The row's relation.
        key: What stands before the name of a key column to make a value of the row, e.g. ``row.``.
    """
    if relation.ends is None:
        return f"MATCH (x:{relation.label} {{id: {key}id}}) DETACH DELETE x"
    subject, object = relation.ends
    ends = f"(:{subject.label} {{id: {key}subject}})-[x:{relation.label}]->(:{object.label} {{id: {key}object}})"
    return f"MATCH {ends} DELETE x"
