"""Looking up names in lexicons, all at once, by joins in DuckDB.

A query is a text and an entity type. It is met by the names with the same loosest form and an accepted concept type;
of these the first vocabulary counts, in it the strictest step at which any name meets, and at that step the surest kind
of name: an approved symbol comes before what another gene is also called. Vocabularies are asked in the order of the
lexicons and of their rows. What no name meets may still be near one.

Invariant: nothing is guessed: a query that several concepts meet in this way keeps all of them.
"""

from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

from llmner.concepts import accepted_types
from llmner.linking.lexicon import KINDS, Lexicon
from llmner.linking.names import STEPS, forms

MATCHING_VERSION = "1"  # changed whenever the same lexicons would give other links
NEAREST = 95  # least ratio, in percent, at which a near miss is linked: below it half of them are wrong
_SHORTEST_NEAR = 10  # characters: in a shorter name one letter makes another name
_EXACTING = r"\d|\b\w\b"  # digits and single letters tell one substance or kind from another: no near miss there
_BLOCK = 5  # characters that half of such a name has at least, for the join

# The share of right answers by step, as measured against gold standards (tests/benchmarks/linking.py). Related and
# former names were too rare there; theirs are guesses on the safe side.
STEP_SCORES = {"exact": 0.98, "lower": 0.95, "punctuation": 0.95, "plural": 0.85, "near": 0.85}
KIND_SCORES = {"preferred": 1.0, "synonym": 1.0, "related": 0.7, "former": 0.9}

Query = tuple[str, str]  # a text and an entity type

_QUERY_SCHEMA = pa.schema([(name, pa.string()) for name in ("text", "entity_type", "lower", "punctuation", "plural")])


class Matcher:
    """Lexicons ready for look-up.

    Args:
        lexicons: In the order in which they are asked.
        connection: Database that will hold them.
    """

    def __init__(self, lexicons: Sequence[Lexicon], connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._entity_types: set[str] = set()
        connection.execute(f"""
            CREATE TYPE step AS ENUM ({", ".join(map(repr, STEPS))});
            CREATE TYPE kind AS ENUM ({", ".join(map(repr, KINDS))});
            CREATE TABLE accepted (entity_type VARCHAR, type VARCHAR);
            CREATE TABLE weights AS SELECT * FROM (VALUES {_weights()}) AS w(step, kind, weight);
            CREATE TABLE names (
                lexicon INTEGER, row BIGINT, id VARCHAR, name VARCHAR, kind kind, type VARCHAR, source VARCHAR,
                version VARCHAR, replaced_by VARCHAR, lower VARCHAR, punctuation VARCHAR, plural VARCHAR);
        """)
        for number, lexicon in enumerate(lexicons):
            connection.execute(
                f"""INSERT INTO names SELECT {number}, file_row_number, * EXCLUDE (file_row_number)
                    FROM read_parquet(?, file_row_number = true)""",
                [lexicon.path],
            )
        connection.execute("""
            CREATE TABLE vocabularies AS
            SELECT lexicon, source, row_number() OVER (ORDER BY lexicon, min(row)) AS priority
            FROM names GROUP BY lexicon, source;
            CREATE TABLE concepts AS
            SELECT id, arg_min(name, (kind, lexicon, row)) AS name, arg_min(type, (lexicon, row)) AS type
            FROM names GROUP BY id;
        """)

    def match(self, queries: Iterable[Query]) -> pa.Table:
        """Look up queries.

        Args:
            queries: Texts and entity types, each once.

        Returns:
            Rows of candidates: ``text``, ``entity_type`` and the columns of ``LINK_SCHEMA`` from ``concept_id`` to
            ``version``, and ``retired_id``. A query that nothing meets has none.
        """
        rows = [(text, entity_type, *forms(text)) for text, entity_type in queries]
        self._accept({row[1] for row in rows})
        columns = zip(*rows, strict=True) if rows else [[]] * len(_QUERY_SCHEMA)
        table = pa.table([pa.array(column, pa.string()) for column in columns], schema=_QUERY_SCHEMA)
        self._replace("queries", table)
        self._connection.execute(_MEET)
        self._near()
        return self._connection.sql(_CANDIDATES).to_arrow_table()

    def _replace(self, name: str, table: pa.Table) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")
        self._connection.from_arrow(table).create(name)

    def _accept(self, entity_types: set[str]) -> None:
        """Note which concept types the entity types accept."""
        for entity_type in sorted(entity_types - self._entity_types):
            for type in accepted_types(entity_type):
                self._connection.execute("INSERT INTO accepted VALUES (?, ?)", [entity_type, type])
        self._entity_types |= entity_types

    def _near(self) -> None:
        """Add near misses of the queries that nothing met."""
        pairs = self._connection.sql(_PAIRS).to_arrow_table()
        if not pairs.num_rows:
            return
        left, right = (pairs[name].to_pylist() for name in ("query_form", "name_form"))
        ratios = cpdist(left, right, scorer=fuzz.ratio, score_cutoff=NEAREST)
        self._replace("near", pairs.append_column("ratio", pa.array(ratios)).filter(pa.array(ratios >= NEAREST)))
        self._connection.execute(_ADD_NEAR)


def _weights() -> str:
    return ", ".join(
        f"('{step}', '{kind}', {step_score * kind_score:.4f})"
        for step, step_score in STEP_SCORES.items()
        for kind, kind_score in KIND_SCORES.items()
    )


# All hits of the first vocabulary, the strictest step and the surest kind. Equal forms at one step are equal at all
# later ones, so one join on the loosest form finds the hits of every step.
_MEET = """
CREATE OR REPLACE TEMP TABLE hits AS
SELECT q.text, q.entity_type, n.row, n.lexicon, n.id, n.name, n.kind, n.type, n.source, n.version, n.replaced_by,
    v.priority,
    (CASE WHEN n.name = q.text THEN 'exact' WHEN n.lower = q.lower THEN 'lower'
        WHEN n.punctuation = q.punctuation THEN 'punctuation' ELSE 'plural' END)::step AS step
FROM queries q
JOIN accepted a USING (entity_type)
JOIN names n ON n.plural = q.plural AND n.type = a.type
JOIN vocabularies v ON v.lexicon = n.lexicon AND v.source = n.source
WHERE q.plural <> ''
QUALIFY rank() OVER (PARTITION BY q.text, q.entity_type ORDER BY v.priority, step, n.kind) = 1
"""

# Names about as long, with the same first half or the same second half: one slip leaves one of them whole.
_PAIRS = f"""
WITH missed AS (
    SELECT q.*, a.type, length(q.plural) AS size, length(q.plural) // 2 AS half
    FROM queries q ANTI JOIN hits USING (text, entity_type) JOIN accepted a USING (entity_type)
    WHERE length(q.plural) >= {_SHORTEST_NEAR} AND NOT regexp_matches(q.plural, '{_EXACTING}'))
SELECT m.text, m.entity_type, n.rowid AS name_row, m.plural AS query_form, n.plural AS name_form
FROM missed m JOIN names n ON n.type = m.type AND left(n.plural, {_BLOCK}) = left(m.plural, {_BLOCK})
    AND left(n.plural, m.half) = left(m.plural, m.half) AND length(n.plural) BETWEEN m.size * 0.9 AND m.size * 1.11
UNION
SELECT m.text, m.entity_type, n.rowid AS name_row, m.plural AS query_form, n.plural AS name_form
FROM missed m JOIN names n ON n.type = m.type AND right(n.plural, {_BLOCK}) = right(m.plural, {_BLOCK})
    AND right(n.plural, m.half) = right(m.plural, m.half) AND length(n.plural) BETWEEN m.size * 0.9 AND m.size * 1.11
"""

_ADD_NEAR = f"""
INSERT INTO hits
SELECT near.text, near.entity_type, n.row, n.lexicon, n.id, n.name, n.kind, n.type, n.source, n.version, n.replaced_by,
    v.priority, 'near'::step
FROM near JOIN names n ON n.rowid = near.name_row
JOIN vocabularies v ON v.lexicon = n.lexicon AND v.source = n.source
WHERE NOT regexp_matches(n.plural, '{_EXACTING}')
QUALIFY rank() OVER (PARTITION BY near.text, near.entity_type ORDER BY near.ratio DESC, v.priority, n.kind) = 1
"""

# One row a concept: its surest name; a retired identifier gives way to the one that replaced it.
_CANDIDATES = """
WITH named AS (
    SELECT *, coalesce(replaced_by, id) AS concept_id, if(replaced_by IS NULL, NULL, id) AS retired_id FROM hits
    QUALIFY row_number() OVER (PARTITION BY text, entity_type, concept_id ORDER BY kind, lexicon, row) = 1)
SELECT text, entity_type, concept_id,
    coalesce(c.name, named.name) AS concept_name, coalesce(c.type, named.type) AS concept_type,
    row_number() OVER (PARTITION BY text, entity_type ORDER BY named.kind, lexicon, row)::INTEGER AS rank,
    count(*) OVER (PARTITION BY text, entity_type)::INTEGER AS candidates,
    (w.weight / count(*) OVER (PARTITION BY text, entity_type))::FLOAT AS score,
    named.step::VARCHAR AS step, named.name, named.kind::VARCHAR AS kind, source, version, retired_id
FROM named JOIN weights w ON w.step = named.step AND w.kind = named.kind
LEFT JOIN concepts c ON c.id = concept_id
ORDER BY text, entity_type, rank
"""
