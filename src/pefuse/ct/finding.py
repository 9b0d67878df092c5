"""Find the files of a scan in a folder, in the same order on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_files"]

_NEVER_OPENED = {"dicomdir"}  # an index of the medium; reading one is an attack surface (CVE-2026-32711)


def find_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, nested ones too; no hidden file, no DICOMDIR, no folder behind a link."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower() not in _NEVER_OPENED:
                yield Path(parent, name)
