"""A cheap fingerprint of where a scan comes from: it changes when a file is added, removed or rewritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pefuse.ct.finding import find_files

__all__ = ["source_signature"]


def source_signature(path: Path) -> str:
    """Hash of the names, sizes and times of change of a scan's files; no file is opened."""
    files = find_files(path) if path.is_dir() else [path] if path.exists() else []
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        digest.update(f"{file.relative_to(path)}|{state.st_size}|{state.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()
