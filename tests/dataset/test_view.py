"""The current view and what lies between two, over data sets of several commits."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from small_dataset import Document, commit

from llmner.dataset.links import Links
from llmner.dataset.view import attach, changes, database, open_view
from llmner.errors import DatasetError

FIRST = [
    Document("1", "Asthma.", [("Asthma", "Disease")]),
    Document("2", "Asthma.", [("Asthma", "Disease")]),
    Document("3", "Broken.", status="failed"),
]
SECOND = [
    Document("1", "Asthma and pain.", [("Asthma", "Disease"), ("pain", "Disease")]),  # the same version, a new text
    Document("2", "Nothing.", status="empty", version=2),
    Document("4", "Pain.", [("Pain", "Disease")]),
]
THIRD = [
    Document("2", "Asthma.", [("Asthma", "Disease")], version=1),  # late: an older version
    Document("4", "Broken.", status="failed"),
]


def rows(uri: str, commit: int | None = None) -> dict[str, tuple[int, list[str]]]:
    """Version and mentions of each document in the view."""
    view = open_view(uri, commit)
    with database(view.uri, memory="1GB") as connection:
        attach(connection, view, "v")
        documents = connection.execute("SELECT source_id, version, doc_key FROM v.documents").fetchall()
        mentions: list[Any] = connection.execute("SELECT doc_key, text FROM v.mentions ORDER BY start").fetchall()
    return {id: (version, [text for key, text in mentions if key == doc_key]) for id, version, doc_key in documents}


def check(uri: str) -> None:
    for number, documents in enumerate((FIRST, SECOND, THIRD), 1):
        commit(uri, f"batch-{9 - number}", documents, files=2)  # names in another order than the commits
    assert rows(uri, 0) == {}
    assert rows(uri, 1) == {"1": (1, ["Asthma"]), "2": (1, ["Asthma"])}
    assert rows(uri, 2) == {"1": (1, ["Asthma", "pain"]), "2": (2, []), "4": (1, ["Pain"])}
    assert rows(uri) == rows(uri, 3) == rows(uri, 2)


def test_the_newest_version_of_each_document_that_could_be_tagged(tmp_path: Path) -> None:
    check(str(tmp_path / "set's"))


def test_on_s3(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    boto3.client("s3").create_bucket(Bucket="views")
    check("s3://views/set")


def test_changes_between_two_commits(tmp_path: Path) -> None:
    uri = str(tmp_path)
    for number, documents in enumerate((FIRST, SECOND, THIRD), 1):
        commit(uri, f"batch-{number}", documents)
    with database(uri, memory="1GB") as connection:
        for number in range(4):
            attach(connection, open_view(uri, number), f"v{number}")
        found = {}
        for old, new in ((0, 1), (1, 2), (2, 3), (2, 1)):
            changes(connection, f"v{old}", f"v{new}")
            found[old, new] = [
                [id for (id,) in connection.execute(f"SELECT source_id FROM v{new}.{name} ORDER BY 1").fetchall()]
                for name in ("changed", "withdrawn")
            ]
            connection.execute(f"DROP VIEW v{new}.changed; DROP VIEW v{new}.withdrawn")
    assert found == {
        (0, 1): [["1", "2"], []],
        (1, 2): [["1", "2", "4"], []],
        (2, 3): [[], []],
        (2, 1): [["1", "2"], ["4"]],
    }


def test_errors(tmp_path: Path) -> None:
    uri = str(tmp_path)
    with pytest.raises(DatasetError, match="no data set here"):
        open_view(uri)
    commit(uri, "one", FIRST)
    with pytest.raises(DatasetError, match=r"there is no commit 2 \(the newest is 1\)"):
        open_view(uri, 2)
    with (
        database(uri, memory="1GB") as connection,
        pytest.raises(DatasetError, match="1 files of mentions have no links yet"),
    ):
        attach(connection, open_view(uri), "v", links=Links(uri, "none"))
