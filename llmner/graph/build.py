"""From documents, mentions and links to the tables of the graph, by aggregation in DuckDB.

A document's identifier is its PMID or PMCID where it has one. A concept is what a mention is linked to, or else its
type and normalised text. A mention with several candidates has an edge to each, marked as ambiguous, and takes no
part in counts of co-occurrence and nesting, which it would make up. Two concepts of which one always lies inside the
other are nested, and do not occur together.

Invariant: the tables depend on the view, its links and the cut-offs alone. Figures are rounded to the digits that
carry meaning, so that one more night changes few of them.
"""

from dataclasses import dataclass

import duckdb

from llmner.concepts import accepted_types


@dataclass(frozen=True)
class Cutoffs:
    """Which co-occurrences become edges.

    Attributes:
        documents: Least number of documents that mention both concepts.
        log_likelihood: Least log-likelihood ratio over documents; 3.84 is the 5 % level of one pair by itself.
    """

    documents: int = 2
    log_likelihood: float = 3.84


def build(connection: duckdb.DuckDBPyConnection, view: str, graph: str, cutoffs: Cutoffs) -> None:
    """Make the relations of the graph, and ``occurrences``, of which they are made, in a schema of their own.

    Args:
        connection: A database in which the view is attached.
        view: Schema of the view.
        graph: Schema to make.
        cutoffs: Which co-occurrences become edges.
    """
    connection.execute(f"CREATE SCHEMA {graph}; CREATE TABLE {graph}.types (entity_type VARCHAR, type VARCHAR)")
    for (entity_type,) in connection.execute(f"SELECT DISTINCT type FROM {view}.mentions ORDER BY type").fetchall():
        connection.execute(f"INSERT INTO {graph}.types VALUES (?, ?)", [entity_type, accepted_types(entity_type)[0]])
    for statement in (_DOCUMENTS, _OCCURRENCES, _CONCEPTS, _MENTIONS, _PRESENCE, _CO_OCCURS, _NESTED_IN):
        connection.execute(statement.format(view=view, graph=graph, cutoffs=cutoffs))


_DOCUMENTS = r"""
CREATE TABLE {graph}.documents AS
SELECT
    CASE WHEN source = 'pubmed' AND regexp_full_match(source_id, '\d+') THEN 'PMID:' || source_id
        WHEN regexp_full_match(source_id, 'PMC\d+') THEN 'PMC:' || source_id[4:]
        ELSE 'document:' || source || '.' || url_encode(source_id) END AS id,
    nullif(trim(regexp_replace(title, '[\s\pC]+', ' ', 'g')), '') AS title,
    year, lang, source, source_id, version, len(sentences) AS sentences, doc_key,
    row_number() OVER (ORDER BY source, source_id)::INTEGER AS number
FROM {view}.documents
"""

# One row a mention and candidate. Concepts get numbers, since joins and groups of numbers are cheaper than of text.
_OCCURRENCES = r"""
CREATE TABLE {graph}.linked AS
WITH named AS (
    SELECT m.*, t.type AS concept_type, trim(regexp_replace(lower(m.text), '[^\p{{L}}\p{{N}}]+', '_', 'g'), '_') AS form
    FROM {view}.mentions m JOIN {graph}.types t ON t.entity_type = m.type)
SELECT d.number AS document, m.mention_id, m.sentence, m.start, m."end", m.text,
    round(coalesce(m.selector_score, m.generator_score)::DOUBLE, 4) AS score, round(l.score::DOUBLE, 4) AS link_score,
    coalesce(l.candidates, 1) AS candidates, l.source, l.concept_name, coalesce(l.concept_type, m.concept_type) AS type,
    coalesce(l.concept_id, 'unlinked:' || m.concept_type || '.'
        || if(m.form = '', url_encode(m.text), m.form)) AS concept_id
FROM named m JOIN {graph}.documents d USING (doc_key) LEFT JOIN {view}.links l USING (mention_id);

CREATE TABLE {graph}.numbered AS
SELECT concept_id AS id, min(type) AS type, min(source) AS source, min(concept_name) AS name,
    row_number() OVER (ORDER BY concept_id)::INTEGER AS number
FROM {graph}.linked GROUP BY concept_id;

CREATE TABLE {graph}.occurrences AS
SELECT o.document, c.number AS concept, o.mention_id, o.sentence, o.start, o."end", o.text, o.score, o.link_score,
    o.candidates
FROM {graph}.linked o JOIN {graph}.numbered c ON c.id = o.concept_id;
DROP TABLE {graph}.linked
"""

# A concept that no lexicon has is called by its commonest text.
_CONCEPTS = """
CREATE TABLE {graph}.concepts AS
WITH texts AS (
    SELECT concept, arg_min(text, (-n, text)) AS text FROM (
        SELECT o.concept, o.text, count(*) AS n FROM {graph}.occurrences o
        JOIN {graph}.numbered c ON c.number = o.concept AND c.name IS NULL GROUP BY o.concept, o.text)
    GROUP BY concept),
mentioned AS (
    SELECT concept, count(DISTINCT document) AS documents FROM {graph}.occurrences GROUP BY concept)
SELECT c.id, trim(regexp_replace(coalesce(c.name, texts.text), '[\\s\\pC]+', ' ', 'g')) AS name, c.type, c.source,
    m.documents, c.number
FROM {graph}.numbered c JOIN mentioned m ON m.concept = c.number LEFT JOIN texts ON texts.concept = c.number;
DROP TABLE {graph}.numbered
"""

_MENTIONS = """
CREATE TABLE {graph}.mentions AS
SELECT d.id AS subject, c.id AS object, m.* EXCLUDE (document, concept) FROM (
    SELECT document, concept, count(DISTINCT (start, "end")) AS count, min(start) AS start, max(score) AS score,
        max(link_score) AS link_score, bool_and(candidates > 1) AS ambiguous
    FROM {graph}.occurrences GROUP BY document, concept) m
JOIN {graph}.documents d ON d.number = m.document JOIN {graph}.concepts c ON c.number = m.concept
"""

# Which document and which sentence holds which concept beyond doubt, and where a pair does not count because in each
# case one of the two lies inside the other.
_PRESENCE = """
CREATE TABLE {graph}.spans AS
SELECT DISTINCT document, sentence, concept, start, "end" FROM {graph}.occurrences WHERE candidates = 1;
CREATE TABLE {graph}.in_sentence AS
SELECT document, sentence, concept, count(*) AS n FROM {graph}.spans GROUP BY document, sentence, concept;
CREATE TABLE {graph}.in_document AS
SELECT document, concept, sum(n) AS n FROM {graph}.in_sentence GROUP BY document, concept;
CREATE TABLE {graph}.inside AS
SELECT x.document, x.sentence, least(x.concept, y.concept) AS a, greatest(x.concept, y.concept) AS b, count(*) AS n
FROM {graph}.spans x JOIN {graph}.spans y ON x.document = y.document AND x.sentence = y.sentence
    AND x.start >= y.start AND x."end" <= y."end"
    -- two concepts of one span are met twice, once each way
    AND (x.concept < y.concept OR x.concept > y.concept AND x."end" - x.start < y."end" - y.start)
GROUP BY ALL;
CREATE TABLE {graph}.only_inside_sentence AS
SELECT document, sentence, i.a, i.b FROM {graph}.inside i
JOIN {graph}.in_sentence x USING (document, sentence) JOIN {graph}.in_sentence y USING (document, sentence)
WHERE x.concept = i.a AND y.concept = i.b AND x.n * y.n <= i.n;
CREATE TABLE {graph}.only_inside_document AS
SELECT document, i.a, i.b FROM (SELECT document, a, b, sum(n) AS n FROM {graph}.inside GROUP BY document, a, b) i
JOIN {graph}.in_document x USING (document) JOIN {graph}.in_document y USING (document)
WHERE x.concept = i.a AND y.concept = i.b AND x.n * y.n <= i.n
"""

# G^2 of a 2x2 table of counts: what holds both, one, the other, none.
_CO_OCCURS = """
CREATE OR REPLACE MACRO cell(observed, row_sum, column_sum, total) AS
    if(observed = 0, 0, observed * ln(observed::DOUBLE * total / (row_sum::DOUBLE * column_sum)));
CREATE OR REPLACE MACRO log_likelihood(ab, a, b, total) AS
    2 * (cell(ab, a, b, total) + cell(a - ab, a, total - b, total) + cell(b - ab, total - a, b, total)
        + cell(total - a - b + ab, total - a, total - b, total))
    * if(ab::DOUBLE * total < a::DOUBLE * b, -1, 1);
CREATE OR REPLACE MACRO pmi(ab, a, b, total) AS log2(ab::DOUBLE * total / (a::DOUBLE * b));
CREATE OR REPLACE MACRO three_digits(x) AS
    if(abs(x) < 0.005, 0, round(x, (2 - floor(log10(abs(x))))::INTEGER));

CREATE TABLE {graph}.co_occurs AS
WITH totals AS (SELECT count(*) AS documents, sum(sentences) AS sentences FROM {graph}.documents),
of_documents AS (SELECT concept, count(*) AS n FROM {graph}.in_document GROUP BY concept),
of_sentences AS (SELECT concept, count(*) AS n FROM {graph}.in_sentence GROUP BY concept),
document_pairs AS (
    SELECT a, b, count(*) AS n FROM (
        SELECT document, x.concept AS a, y.concept AS b
        FROM {graph}.in_document x JOIN {graph}.in_document y USING (document) WHERE x.concept < y.concept)
    ANTI JOIN {graph}.only_inside_document USING (document, a, b)
    GROUP BY a, b HAVING n >= {cutoffs.documents}),
sentence_pairs AS (
    SELECT a, b, count(*) AS n FROM (
        SELECT document, sentence, x.concept AS a, y.concept AS b
        FROM {graph}.in_sentence x JOIN {graph}.in_sentence y USING (document, sentence) WHERE x.concept < y.concept)
    ANTI JOIN {graph}.only_inside_sentence USING (document, sentence, a, b)
    GROUP BY a, b),
measured AS (
    SELECT p.a, p.b, p.n AS documents, pmi(p.n, da.n, db.n, t.documents) AS pmi,
        log_likelihood(p.n, da.n, db.n, t.documents) AS log_likelihood, coalesce(s.n, 0) AS sentences,
        pmi(s.n, sa.n, sb.n, t.sentences) AS sentence_pmi,
        log_likelihood(s.n, sa.n, sb.n, t.sentences) AS sentence_log_likelihood
    FROM document_pairs p
    JOIN of_documents da ON da.concept = p.a JOIN of_documents db ON db.concept = p.b
    JOIN of_sentences sa ON sa.concept = p.a JOIN of_sentences sb ON sb.concept = p.b
    LEFT JOIN sentence_pairs s ON s.a = p.a AND s.b = p.b
    CROSS JOIN totals t)
SELECT a.id AS subject, b.id AS object, m.documents, round(m.pmi, 2) AS pmi,
    three_digits(m.log_likelihood) AS log_likelihood, m.sentences, round(m.sentence_pmi, 2) AS sentence_pmi,
    three_digits(m.sentence_log_likelihood) AS sentence_log_likelihood
FROM measured m JOIN {graph}.concepts a ON a.number = m.a JOIN {graph}.concepts b ON b.number = m.b
WHERE m.log_likelihood >= '{cutoffs.log_likelihood}'::DOUBLE
"""

# The concept of the smallest span that encloses another one.
_NESTED_IN = """
CREATE TABLE {graph}.nested_in AS
WITH pairs AS (
    SELECT i.document, i.concept AS inner_concept,
        arg_min(o.concept, (o."end" - o.start, o.start, o.concept)) AS outer_concept
    FROM {graph}.spans i JOIN {graph}.spans o ON i.document = o.document AND i.sentence = o.sentence
        AND i.start >= o.start AND i."end" <= o."end" AND i."end" - i.start < o."end" - o.start
    GROUP BY i.document, i.concept, i.start, i."end")
SELECT i.id AS subject, o.id AS object, count(*) AS count, count(DISTINCT p.document) AS documents
FROM pairs p JOIN {graph}.concepts i ON i.number = p.inner_concept JOIN {graph}.concepts o ON o.number = p.outer_concept
WHERE i.number <> o.number
GROUP BY i.id, o.id
"""
