"""A cheap fingerprint of where a scan comes from: it changes when a file is added, removed or rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pefuse.ct.finding import find_files, is_file_list, listed_names

__all__ = ["source_signature"]


def source_signature(path: Path) -> str:
    """Hash of the names, sizes and times of change of a scan's files; no file but a list of them is opened."""
    digest = hashlib.sha256()
    for name, file in _named_files(path):
        state = file.stat() if file.exists() else None
        what = f"{state.st_size}|{state.st_mtime_ns}" if state else "gone"
        digest.update(f"{name}|{what}\n".encode(errors="replace"))
    return digest.hexdigest()


def _named_files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_dir():
        yield from ((str(file.relative_to(path)), file) for file in find_files(path))
    elif is_file_list(path):
        yield from ((name, path.parent / name) for name in listed_names(path))
    elif path.exists():
        yield ".", path
