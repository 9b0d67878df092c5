"""DuckDB out of core: what does not fit into its memory is spilled to a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from pefuse.errors import UsageError
from pefuse.machine import allowed_cores

__all__ = ["MEMORY_LIMIT", "quoted", "spilling_database"]

MEMORY_LIMIT = "2GB"
_SIZE = re.compile(r"\d+(\.\d+)?\s?([KMGT]i?B)", re.IGNORECASE)


@contextlib.contextmanager
def spilling_database(memory_limit: str = MEMORY_LIMIT) -> Iterator[Any]:
    """Yield a connection to a database that lives as long as the block.

    Raises:
        UsageError: `memory_limit` is not a size such as '2GB'.
    """
    if not _SIZE.fullmatch(memory_limit):
        raise UsageError(
            f"The memory limit '{memory_limit}' is not a size: it needs a number and unit, such as 2GB."
        )
    with tempfile.TemporaryDirectory(prefix="pefuse-duckdb-") as spill:
        config: dict[str, Any] = {
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "threads": allowed_cores(),
            "preserve_insertion_order": False,
        }
        with duckdb.connect(":memory:", config=config) as database:
            database.sql("SET enable_progress_bar = false")
            yield database


def quoted(path: Path | str) -> str:
    """A path, or any text, as a literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"
