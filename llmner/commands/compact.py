"""``llmner compact``: fewer files, and nothing that no kept snapshot needs."""

from rich.console import Console

from llmner.dataset.compact import compact


def run_compact(uri: str, keep: int, console: Console) -> None:
    """Compact a data set and say what came of it.

    Args:
        uri: The data set.
        keep: So many of the newest snapshots can still be opened.
        console: Where it is said.

    Raises:
        DatasetError: See ``compact``.
    """
    done = compact(uri, keep=keep)
    if done.read:
        line = f"Compacted  {done.read:,} files into {done.written:,}, {done.dropped:,} rows dropped"
    else:
        line = "Nothing to compact."
    if done.removed:
        line += f"\nRemoved    {done.removed:,} files that the compaction before had taken the place of"
    console.print(f"{line}\nOldest     commit {done.oldest}", soft_wrap=True, markup=False, highlight=False)
