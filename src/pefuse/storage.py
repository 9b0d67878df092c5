"""Files that are either whole or not there: write aside, flush to disk, then rename.

A Ctrl-C, a crash or a full disk leaves the old file (or none), never half of a new one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pefuse.errors import StorageError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "disk_error",
    "make_folder",
    "refused_by_system",
    "write_json",
    "write_text",
]


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes `path`'s place when the block ends well."""
    make_folder(path.parent)
    # The ending stays: several writers choose the format by it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix="".join(path.suffixes))
    os.close(handle)
    partial = Path(name)
    try:
        with _disk_errors():
            yield partial
            _flush(partial)
            partial.chmod(0o666 & ~_umask())  # mkstemp makes private files
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` to fill; it becomes `path` when the block ends well.

    Raises:
        StorageError: `path` exists already and holds something, or the disk is full.
    """
    if path.exists() and any(path.iterdir()):
        raise StorageError("The output folder is not empty: name a new one, or remove it first.")
    make_folder(path.parent)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".partial-{path.name}-"))
    try:
        with _disk_errors():
            yield partial
            partial.chmod(0o777 & ~_umask())
            if path.exists():
                path.rmdir()
            os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are not there yet.

    Raises:
        StorageError: no folder can be made there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error) or StorageError(
            "No folder can be made there: name another output folder."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON, whole or not at all. NaN is refused: it is not JSON; use None."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def refused_by_system(error: BaseException) -> bool:
    """Whether the system would not give a file's bytes: decoders raise OSError too, and parsers seek anywhere."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def disk_error(error: BaseException) -> StorageError | None:
    """What to tell the user where `error` means a full disk or a folder that is not ours to use; else None.

    Writers that are not Python's (safetensors, DuckDB, Arrow) may name a full disk only in their text.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        return StorageError("The disk is full: free some space and run the command again.")
    if number in (errno.ENOTDIR, errno.EEXIST):
        return StorageError("A file stands where a folder is needed: name another output folder.")
    if number == errno.EFBIG:
        return StorageError("A file would grow beyond what is allowed here: raise the limit (`ulimit -f`).")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError("A file or folder may not be read or written: check its rights or choose another.")
    return None


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        mended = disk_error(error)
        if mended is None:
            raise
        raise mended from error


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
