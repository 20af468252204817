"""Tasks that go over many files on a cluster."""

import pytest

from llmner.errors import DatasetError
from llmner.extraction.cluster import in_tasks

pytestmark = pytest.mark.usefixtures("cluster")


def test_results_come_in_the_order_of_the_items_and_errors_as_they_were_raised() -> None:
    def refuse(name: str) -> int:
        if name == "c":
            raise DatasetError("c: damaged", hint="restore it")
        return ord(name)

    names = [chr(i) for i in range(ord("d"), ord("d") + 100)]
    assert in_tasks(refuse, names) == [ord(name) for name in names]
    assert in_tasks(refuse, []) == []
    with pytest.raises(DatasetError, match="damaged") as e:
        in_tasks(refuse, [*names, "c"])
    assert (type(e.value), e.value.hint) == (DatasetError, "restore it")
