"""The index of an archive: what each of its files is, from headers alone, in a parquet file that is used again.

Rows are written in parts while files are read, so that a run that was stopped goes on where it was; a later run
reads only files whose size or time of change is new. The index holds patients' identifiers: it stays at the site.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pefuse.ct.finding import UNREADABLE, find_files, listed_names
from pefuse.ct.index_worker import HEADER_COLUMNS
from pefuse.errors import UsageError
from pefuse.machine import allowed_cores
from pefuse.storage import atomic_file
from pefuse.types import Progress
from pefuse.workers import TaskFailedError, Worker, Workers, WorkerTimedOutError

__all__ = ["INDEX_COLUMNS", "index_files"]

INDEX_COLUMNS = ("path", "size", "mtime_ns", "kind", *HEADER_COLUMNS)
CHUNK_FILES = 256  # sent to a worker at once
PART_FILES = 8 * CHUNK_FILES  # so many are lost at most when the run is killed
CHUNK_LIMIT_SECONDS = 120.0  # half a second a file, on a slow network disk
FILE_LIMIT_SECONDS = 20.0  # each file of a chunk that failed is read again by itself

_CRASHED = "a file that crashes the reader"
_TIMED_OUT = "a file that takes too long to read"
_TRIED_AGAIN = {UNREADABLE, _CRASHED, _TIMED_OUT}  # a disk that failed for a moment may be why
_SCHEMA = pa.schema(
    {
        "path": pa.binary(),  # as the system has it, which need not be text
        "size": pa.int64(),
        "mtime_ns": pa.int64(),
        **dict.fromkeys(("kind", *HEADER_COLUMNS), pa.string()),
    }
)


def index_files(
    tree: Path, index_path: Path, *, jobs: int | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Say of every file of an archive what it is, reading headers only.

    Args:
        tree: a folder, or a text file with one path a line, absolute or relative to the list's own folder.
        index_path: the parquet file of the index; what it knows already is not read again.
        jobs: processes; by default the cores that this process may use.
        progress: called with "files", how many are known, and of how many.

    Returns:
        One row a file, sorted by `path` (relative to the tree, or as listed), with `INDEX_COLUMNS`. `size` is in
        bytes; `kind` is "CT" or says in words what the file is instead; the rest is text as it stands in the
        header, "" where there is none. No DICOMDIR, hidden file or folder behind a link has a row.

    Raises:
        UsageError: fewer than one job. ScanReadError: the list cannot be read.
        StorageError: the index cannot be written.
    """
    if jobs is not None and jobs < 1:
        raise UsageError("At least one job is needed.")
    parts = _Parts(index_path, tree)
    found = _found(tree)
    known = parts.known()
    kept = found.merge(known, on=["path", "size", "mtime_ns"], how="inner") if len(known) else known
    unread = found[~found["path"].isin(kept["path"])]
    if len(unread) or len(kept) != len(known) or not parts.whole:
        progress = progress or _silent
        progress("files", len(kept), len(found))
        base = tree if tree.is_dir() else tree.parent
        for rows in _read_all(unread, base, jobs or allowed_cores()):
            parts.add(rows)
            progress("files", len(kept) + parts.added, len(found))
        kept = parts.finish(kept)
    names = pd.Series(list(map(os.fsdecode, kept["path"])), index=kept.index, dtype=object)  # need not be text
    return kept.assign(path=names).sort_values("path", ignore_index=True)


class _Parts:
    """The index file, and beside it a folder of parts that are not in it yet."""

    def __init__(self, index_path: Path, tree: Path) -> None:
        self.added = 0
        self._index_path = index_path
        self._folder = index_path.with_name(f".{index_path.name}-parts")
        self._earlier = sorted(self._folder.glob("part-*.parquet"))
        # Rows of another tree whose files have the same names must not be taken for this one's.
        digest = hashlib.sha256(os.fsencode(tree.resolve())).hexdigest()
        self._schema = _SCHEMA.with_metadata({"tree": digest})
        self._written: list[pa.Table] = []
        self._rows: list[tuple[Any, ...]] = []

    @property
    def whole(self) -> bool:
        """Whether the index file is there and nothing is left in parts."""
        return self._index_path.exists() and not self._earlier

    def known(self) -> pd.DataFrame:
        """What earlier runs have read and what need not be tried again, the newest row of each path."""
        tables = [self._read(path) for path in (self._index_path, *self._earlier)]
        frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        frame = frame.drop_duplicates("path", keep="last")
        return frame[~frame["kind"].isin(_TRIED_AGAIN)]

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows += rows
        self.added += len(rows)
        if len(self._rows) >= PART_FILES:
            self._write_part()

    def finish(self, kept: pd.DataFrame) -> pd.DataFrame:
        """Write the whole index: the rows that were known and still hold, and those that were added."""
        known = pa.Table.from_pandas(kept, schema=self._schema, preserve_index=False)
        known = known.replace_schema_metadata(self._schema.metadata)  # pandas adds its own
        whole = pa.concat_tables([known, *self._written, self._table()])
        _write(whole, self._index_path)
        shutil.rmtree(self._folder, ignore_errors=True)
        frame: pd.DataFrame = whole.to_pandas()
        return frame

    def _write_part(self) -> None:
        number = len(self._earlier) + len(self._written)
        part = self._table()
        _write(part, self._folder / f"part-{number:06d}.parquet")
        self._written.append(part)
        self._rows = []

    def _table(self) -> pa.Table:
        columns = zip(*self._rows, strict=True) if self._rows else [[] for _ in INDEX_COLUMNS]
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)],
            schema=self._schema,
        )

    def _read(self, path: Path) -> pa.Table:
        """A file of ours about the same tree; no rows where it is anything else."""
        try:
            with pq.ParquetFile(path) as file:
                table = file.read()
        except (pa.ArrowException, OSError):
            return self._schema.empty_table()
        return table if table.schema.equals(self._schema, check_metadata=True) else self._schema.empty_table()


def _write(table: pa.Table, path: Path) -> None:
    with atomic_file(path) as partial_file:
        pq.write_table(table, partial_file)


def _found(tree: Path) -> pd.DataFrame:
    """Path, size and time of change of each file; -1 and 0 for a listed one that is gone."""
    if tree.is_dir():
        rows = [(os.fsencode(file.relative_to(tree)), *_state(file)) for file in find_files(tree)]
    else:
        rows = [(os.fsencode(name), *_state(tree.parent / name)) for name in listed_names(tree)]
    return pd.DataFrame(rows, columns=["path", "size", "mtime_ns"]).astype({"size": "int64", "mtime_ns": "int64"})


def _state(file: Path) -> tuple[int, int]:
    try:
        state = file.stat()
    except (OSError, ValueError):  # ValueError: a listed name that no file can have
        return -1, 0
    return state.st_size, state.st_mtime_ns


def _read_all(unread: pd.DataFrame, base: Path, jobs: int) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of the index, in chunks as they are read."""
    files = list(unread.itertuples(index=False, name=None))
    chunks = [files[start : start + CHUNK_FILES] for start in range(0, len(files), CHUNK_FILES)]
    with Workers(max(1, min(jobs, len(chunks))), "pefuse.ct.index_worker.main") as workers:
        futures = [workers.submit(partial(_read_chunk, chunk, base)) for chunk in chunks]
        for future in as_completed(futures):
            yield future.result()


def _read_chunk(chunk: list[tuple[bytes, int, int]], base: Path, worker: Worker) -> list[tuple[Any, ...]]:
    paths = [os.path.join(base, os.fsdecode(path)) for path, _, _ in chunk]
    try:
        described = worker.do(paths, limit_seconds=CHUNK_LIMIT_SECONDS)["files"]
    except TaskFailedError:
        described = [_read_alone(path, worker) for path in paths]
    return [(*file, *values) for file, values in zip(chunk, described, strict=True)]


def _read_alone(path: str, worker: Worker) -> list[str]:
    try:
        described: list[str] = worker.do([path], limit_seconds=FILE_LIMIT_SECONDS)["files"][0]
    except TaskFailedError as failure:
        kind = _TIMED_OUT if isinstance(failure, WorkerTimedOutError) else _CRASHED
        return [kind, *("" for _ in HEADER_COLUMNS)]
    return described


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""
