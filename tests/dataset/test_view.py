"""The current view and what lies between two, over data sets of several commits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from small_dataset import Document, Unchanged, commit

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


def test_what_is_unchanged_has_the_mentions_of_its_first_row(tmp_path: Path) -> None:
    uri = str(tmp_path)
    asthma, pain = Document("1", "Asthma.", [("Asthma", "Disease")]), Document("1", "Pain.", [("Pain", "Disease")])
    commit(uri, "one", [asthma])
    commit(uri, "two", [unchanged(asthma, year=2021)])
    commit(uri, "three", [pain])
    commit(uri, "four", [unchanged(asthma, year=2022)])
    found = [rows(uri, number)["1"] for number in range(1, 5)]
    assert found == [(1, ["Asthma"]), (1, ["Asthma"]), (1, ["Pain"]), (1, ["Asthma"])]
    with database(uri, memory="1GB") as connection:
        attach(connection, open_view(uri), "v")
        assert connection.execute("SELECT text, year FROM v.documents").fetchall() == [("Asthma.", 2022)]
        assert connection.execute("SELECT DISTINCT year FROM v.mentions").fetchall() == [(2022,)]


def test_a_withdrawn_version_uncovers_the_one_before_it(tmp_path: Path) -> None:
    uri = str(tmp_path)
    first, second = Document("1", "Asthma."), Document("1", "Pain.", version=2)
    commit(uri, "one", [first, second, Document("2", "Fever.")])
    commit(uri, "two", [replace(second, text="", status="withdrawn"), Document("2", "", status="withdrawn")])
    commit(uri, "three", [unchanged(second)])
    assert rows(uri, 1) == {"1": (2, []), "2": (1, [])}
    assert rows(uri, 2) == {"1": (1, [])}
    assert rows(uri, 3) == {"1": (2, [])}


def test_a_file_that_came_late_is_older_than_those_after_it(tmp_path: Path) -> None:
    uri = str(tmp_path)
    commit(uri, "a", [Document("1", "Asthma."), Document("2", "Fever.")], place="n01.xml")
    commit(uri, "b", [Document("1", "Pain."), Document("2", "", status="withdrawn")], place="n03.xml")
    commit(uri, "c", [Document("1", "Cough."), Document("2", "Flu."), Document("3", "Ague.")], place="n02.xml")
    with database(uri, memory="1GB") as connection:
        attach(connection, open_view(uri), "v3")
        found = connection.execute("SELECT source_id, text FROM v3.documents ORDER BY ALL").fetchall()
        assert found == [("1", "Pain."), ("3", "Ague.")]
        attach(connection, open_view(uri, 2), "v2")
        changes(connection, "v2", "v3")
        assert connection.execute("SELECT source_id FROM v3.changed").fetchall() == [("3",)]
        assert connection.execute("SELECT source_id FROM v3.withdrawn").fetchall() == []


def unchanged(document: Document, *, year: int | None = 2020) -> Unchanged:
    """The row of a document whose text an earlier batch has tagged."""
    return Unchanged(**{**vars(document), "mentions": (), "status": "unchanged", "year": year})


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
