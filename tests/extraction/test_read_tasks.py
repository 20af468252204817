"""Which inputs share a read task, and how their records are numbered."""

from pathlib import Path

import pytest
from corpora import write_jsonl

from llmner.extraction.counts import Records
from llmner.extraction.datasource import DocumentDatasource
from llmner.extraction.mailbox import Mailbox
from llmner.extraction.reading import TASK_BYTES, NumberedDatasource
from llmner.sources.files import find_files


def test_small_files_share_tasks_and_large_ones_do_not(corpus: Path) -> None:
    for i in range(150):
        write_jsonl(corpus / f"{i:03}.jsonl", [f"Aspirin {i}", "Fever"][: 1 + (i == 7)])
    for i in (149, 150):
        write_jsonl(corpus / f"{i}.jsonl", ["x" * TASK_BYTES])
    files, counts = find_files([str(corpus)]), Records()
    source = NumberedDatasource(DocumentDatasource(files), [f.size for f in files], None, counts, Mailbox())
    tasks = [
        [record for table in task() for record in table["record"].to_pylist()] for task in source.get_read_tasks(1)
    ]
    assert [len(task) for task in tasks] == [65, 64, 21, 1, 1]
    assert [record for task in tasks for record in task] == sorted([*(i << 32 for i in range(151)), (7 << 32) + 1])
    assert (counts.total, counts.complete) == (152, True)


@pytest.mark.parametrize("limit", [1, 40])
def test_a_limit_takes_one_task(corpus: Path, limit: int) -> None:
    for i in range(50):
        write_jsonl(corpus / f"{i:03}.jsonl", ["Aspirin"])
    files = find_files([str(corpus)])
    source = NumberedDatasource(DocumentDatasource(files), [f.size for f in files], limit, Records(), Mailbox())
    [task] = source.get_read_tasks(1)
    assert sum(table.num_rows for table in task()) == limit
