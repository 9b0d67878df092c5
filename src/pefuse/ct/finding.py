"""Find the files of a scan, in a folder or in a list of paths, in the same order on every machine.

A list is a text file named `<study_id>.files` for a study whose files lie scattered: one path a line, absolute or
relative to the list's own folder, in UTF-8 (bytes that are none are kept as the system gave them).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pefuse.errors import ScanReadError

__all__ = ["UNREADABLE", "find_files", "is_file_list", "listed_names", "scan_files"]

UNREADABLE = "a file or folder that could not be read"
LIST_SUFFIX = ".files"
_NEVER_OPENED = {"dicomdir"}  # an index of the medium; reading one is an attack surface (CVE-2026-32711)


def scan_files(path: Path) -> Iterable[Path]:
    """The files of one scan: of a folder as `find_files` has them, of a list those that it names.

    Raises:
        ScanReadError: the list cannot be read, names nothing, or files that it names are gone.
    """
    return _listed_files(path) if is_file_list(path) else find_files(path)


def find_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, nested ones too; no DICOMDIR, no hidden folder or one behind a link, no pipe.

    A folder that may not be looked into comes itself, so that whoever reads it finds it UNREADABLE and tells.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if _is_never_opened(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):  # such as .snapshot, where all is there once more
                yield from find_files(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def is_file_list(path: Path) -> bool:
    """Whether `path` is a file that names a study's files by its ending."""
    return path.name.lower().endswith(LIST_SUFFIX) and path.is_file()


def listed_names(path: Path) -> list[str]:
    """The paths that a list holds, as they stand there, each once; what they name need not exist.

    Raises:
        ScanReadError: the list cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise ScanReadError("The list of the study's files cannot be read.") from error
    names = dict.fromkeys(line.removesuffix("\r") for line in text.split("\n"))  # no other character ends a path
    return [name for name in names if name.strip() and not _is_never_opened(os.path.basename(name))]


def _listed_files(path: Path) -> list[Path]:
    files = [path.parent / name for name in listed_names(path)]
    if not files:
        raise ScanReadError("The list of the study's files names none.", remedy="Make the list again.")
    gone = sum(not file.is_file() for file in files)
    if gone:
        raise ScanReadError(
            f"{gone} of the {len(files)} files that the study's list names are gone.",
            remedy="Put them back, or import the archive again.",
        )
    return files


def _is_never_opened(name: str) -> bool:
    return name.lower() in _NEVER_OPENED
