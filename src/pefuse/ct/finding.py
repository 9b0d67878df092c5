"""Find the files of a scan in a folder, in the same order on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_files"]

_NEVER_OPENED = {"dicomdir"}  # an index of the medium; reading one is an attack surface (CVE-2026-32711)


def find_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, nested ones too; no hidden file, no DICOMDIR, no folder behind a link, no pipe."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _NEVER_OPENED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from find_files(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)
