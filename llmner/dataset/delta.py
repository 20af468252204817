"""A publication as one version of two Delta tables, for readers that know nothing of data sets.

The tables are the folders of the published documents and mentions: a version lists the files of a publication, none is
written again. Reading an older version works as long as its files are there.

Invariant: a version has exactly the files of one publication, and once there are tables each publication is one.
"""

import json
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from llmner import storage
from llmner.dataset.files import count_rows
from llmner.errors import ConfigError, StorageError

if TYPE_CHECKING:
    import deltalake


def is_delta(table: str) -> bool:
    """Return whether there is a Delta table in a folder."""
    return bool(storage.list_names(storage.join(table, "_delta_log")))


def check_installed() -> None:
    """Make sure that the library that writes Delta tables is there.

    Raises:
        ConfigError: It is not.
    """
    try:
        import deltalake  # noqa: F401
    except ImportError as e:
        raise ConfigError("Delta tables need deltalake", hint="pip install 'llmner[delta]'") from e


def commit_version(table: str, schema: pa.Schema, files: Iterable[str], commit: int) -> None:
    """Make files in a table's folder, and no others, its newest version.

    Args:
        table: URI of the folder; the table is made if need be.
        schema: Columns of the files.
        files: Their names.
        commit: The commit that they are as of; the version's metadata says so.

    Raises:
        StorageError: The table could not be written, or another run has just written it.
    """
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import create_table_with_add_actions

    said = CommitProperties(custom_metadata={"llmner.commit": str(commit)})
    options, columns, names = _options(), Schema.from_arrow(schema), set(files)
    try:
        if not is_delta(table):
            added = _additions(table, names)
            create_table_with_add_actions(
                table, columns, added, mode="error", storage_options=options, commit_properties=said
            )
            return
        delta = DeltaTable(table, storage_options=options)
        listed = pa.table(delta.get_add_actions())
        sizes = dict(zip(listed["path"].to_pylist(), listed["size_bytes"].to_pylist(), strict=True))
        removed = [_removal(name, sizes[name]) for name in sorted(sizes.keys() - names)]
        added = _additions(table, names - sizes.keys())
        if added or removed:
            delta.create_write_transaction([*added, *removed], "append", columns, commit_properties=said)
    except (DeltaError, OSError) as e:
        raise StorageError(f"{table}: the Delta table could not be written: {e}", hint="publish again") from e


def _additions(table: str, names: Iterable[str]) -> "list[deltalake.transaction.AddAction]":
    from deltalake.transaction import AddAction

    sizes, now = storage.list_sizes(table), int(time.time() * 1000)
    rows = {name: count_rows(storage.join(table, name)) for name in sorted(names)}
    return [AddAction(name, sizes[name], {}, now, True, json.dumps({"numRecords": n})) for name, n in rows.items()]


def _removal(name: str, size: int) -> "deltalake.transaction.RemoveAction":
    from deltalake.transaction import RemoveAction

    return RemoveAction(name, True, int(time.time() * 1000), size)


def _options() -> dict[str, str]:
    """Return what the table's driver needs beside the environment, which says all else."""
    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return {"AWS_ALLOW_HTTP": "true"} if plain else {}
