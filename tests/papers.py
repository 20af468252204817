"""A few made-up papers, a lexicon for them, and three nights in which they change."""

from pathlib import Path

from small_dataset import Document, commit

from llmner.linking.lexicon import Name, write_lexicon
from llmner.linking.link import link

NAMES = [
    Name("MESH:D006973", "Hypertension", "preferred", "mesh", "disease"),
    Name("MESH:D006973", "high blood pressure", "synonym", "mesh", "disease"),
    Name("MESH:D003920", "Diabetes Mellitus", "preferred", "mesh", "disease"),
    Name("MESH:D001249", "Asthma", "preferred", "mesh", "disease"),
    Name("MESH:D008687", "Metformin", "preferred", "mesh", "chemical"),
    Name("MESH:D011433", "Propranolol", "preferred", "mesh", "chemical"),
    Name("MESH:D001241", "Aspirin", "preferred", "mesh", "chemical"),
    Name("MESH:D009369", "Neoplasms", "preferred", "mesh", "disease"),
    Name("MESH:D009369", "cancer", "synonym", "mesh", "disease"),
    Name("MESH:D001943", "Breast Neoplasms", "preferred", "mesh", "disease"),
    Name("MESH:D001943", "breast cancer", "synonym", "mesh", "disease"),
    Name("MESH:D000544", "cold", "synonym", "mesh", "disease"),
    Name("MESH:D003139", "cold", "synonym", "mesh", "disease"),
    Name("MESH:D003924", "2型糖尿病", "synonym", "mesh", "disease"),
    Name("MESH:D008687", "二甲双胍", "synonym", "mesh", "chemical"),
]

FIRST = [
    Document(
        "101",
        "Propranolol lowered blood pressure. Asthma is a reason against propranolol.",
        [("hypertension", "Disease"), ("Propranolol", "Chemical"), ("Asthma", "Disease"), ("propranolol", "Chemical")],
        title='Beta-blockers in hypertension, "old" | new\tor not',
    ),
    Document(
        "102",
        "Propranolol treats hypertension. Metformin treats diabetes mellitus.",
        [
            ("Propranolol", "Chemical"),
            ("hypertension", "Disease"),
            ("Metformin", "Chemical"),
            ("diabetes mellitus", "Disease"),
        ],
    ),
    Document(
        "103",
        "Metformin and breast cancer in diabetes mellitus: a cohort.",
        [
            ("Metformin", "Chemical"),
            ("breast cancer", "Disease"),
            ("cancer", "Disease"),
            ("diabetes mellitus", "Disease"),
        ],
    ),
    Document("104", "A cold with zzyzxitis.", [("cold", "Disease"), ("zzyzxitis", "Disease")]),
    Document("105", "Nothing was found.", status="empty"),
    Document(
        "zh/1",
        "二甲双胍治疗2型糖尿病。",
        [("二甲双胍", "dru"), ("2型糖尿病", "dis")],
        title="一项研究",
        source="jsonl",
        lang="zh",
        year=None,
    ),
]
SECOND = [
    Document("102", "Propranolol treats hypertension.", [("Propranolol", "Chemical"), ("hypertension", "Disease")]),
    Document("106", "Aspirin in asthma, and zzyzxitis.", [("Aspirin", "Chemical"), ("asthma", "Disease")]),
]
THIRD = [
    Document("101", "The abstract was withdrawn.", status="empty", title="Beta-blockers in hypertension", version=2),
    Document("107", "Hypertension with asthma.", [("Hypertension", "Disease"), ("asthma", "Disease")]),
]


def make_lexicon(folder: Path) -> str:
    """Write the lexicon."""
    path = str(folder / "lexicon.parquet")
    write_lexicon(NAMES, path, version="2026")
    return path


def make_nights(uri: str, lexicon: str, nights: int = 3) -> None:
    """Commit the papers night by night and link them."""
    for name, documents in (("first", FIRST), ("second", SECOND), ("third", THIRD))[:nights]:
        commit(uri, name, documents, files=2)
        link(uri, [lexicon])
