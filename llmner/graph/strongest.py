"""The strongest part of a data set's graph: the concepts that co-occur most clearly, few enough to be looked at.

Invariant: it depends on the snapshot and its links alone.
"""

from llmner.concepts import Concept, CoOccurrence
from llmner.graph.build import Cutoffs
from llmner.graph.snapshot import open_rows


def strongest(
    uri: str, *, commit: int | None = None, most: int = 60, memory: str = "4GB"
) -> tuple[list[Concept], list[CoOccurrence]]:
    """Return the concepts of the strongest co-occurrences, and all co-occurrences among them.

    Args:
        uri: The data set.
        commit: The commit; the newest by default.
        most: The most concepts.
        memory: Most that DuckDB may hold.

    Raises:
        DatasetError: There is no data set, no such commit, or mentions that are not linked yet.
    """
    with open_rows(uri, uri, Cutoffs(), commit=commit, memory=memory) as rows:
        pairs = rows.connection.execute(f"""
            SELECT subject, object, documents, log_likelihood FROM new.co_occurs
            ORDER BY log_likelihood DESC, documents DESC, subject, object LIMIT {most * most}
        """).fetchall()
        chosen: set[str] = set()
        for subject, object, *_ in pairs:
            if len(chosen | {subject, object}) <= most:
                chosen |= {subject, object}
        edges = [CoOccurrence(*pair) for pair in pairs if chosen.issuperset(pair[:2])]
        nodes = rows.connection.execute(
            "SELECT id, name, type, documents FROM new.concepts WHERE list_contains(?, id) ORDER BY documents DESC, id",
            [sorted(chosen)],
        ).fetchall()
    return [Concept(*node) for node in nodes], edges
