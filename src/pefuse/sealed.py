"""A sealed folder (a bundle), read so that a hostile one does no harm: bounded, never through a link, hash first.

`bundle.sha256` holds the hash of `bundle.json`, which holds those of all other files. So nothing is parsed before
its bytes are known to be right, and the one hash stands for the whole bundle. Other files are never opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pefuse.errors import BundleError, UsageError

__all__ = [
    "MANIFEST",
    "REMEDY",
    "SEAL",
    "FileEntry",
    "read_file",
    "read_files",
    "read_manifest",
    "seal_text",
    "sha256_of",
]

MANIFEST, SEAL = "bundle.json", "bundle.sha256"
MOST_MANIFEST_BYTES = 32 * 2**20
REMEDY = "Copy the whole bundle again, or train the model again."

# A link is not followed, and a pipe does not make us wait (neither flag exists on Windows).
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileEntry(Protocol):
    """What a file must be, byte for byte."""

    @property
    def bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...


def sha256_of(content: bytes) -> str:
    """The SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def seal_text(manifest: bytes) -> bytes:
    """What `bundle.sha256` holds; `sha256sum -c` reads it too."""
    return f"{sha256_of(manifest)}  {MANIFEST}\n".encode()


def read_manifest(folder: Path, *, sha256: str | None = None) -> bytes:
    """The bytes of `bundle.json`, which are those that its seal names, and `sha256` where one is given.

    Raises:
        UsageError: there is no bundle in the folder.
        BundleError: a file is missing, too large, a link, or not the one that was sealed.
    """
    if not (folder / MANIFEST).exists():
        raise UsageError("There is no bundle in that folder: name one such as RUN/bundles/MODEL.")
    content = _read(folder, MANIFEST, most=MOST_MANIFEST_BYTES)
    if _read(folder, SEAL, most=200) != seal_text(content):
        raise BundleError(f"The bundle's {MANIFEST} is not the one that was written (its hash differs). {REMEDY}")
    if sha256 is not None and sha256.lower() != sha256_of(content):
        raise BundleError(
            "The bundle is not the one asked for (its hash differs): check which one you were given."
        )
    return content


def read_files(folder: Path, files: Mapping[str, FileEntry]) -> dict[str, bytes]:
    """All listed files, each of its size and hash.

    Raises:
        BundleError: a file is missing, a link, or another one.
    """
    return {name: read_file(folder, name, entry) for name, entry in files.items()}


def read_file(folder: Path, name: str, entry: FileEntry) -> bytes:
    """One listed file; it raises as `read_files` does."""
    content = _read(folder, name, most=entry.bytes)
    if len(content) != entry.bytes or sha256_of(content) != entry.sha256:
        raise BundleError(f"The bundle's {name} is not the file that was written (its hash differs). {REMEDY}")
    return content


def _read(folder: Path, name: str, *, most: int) -> bytes:
    try:
        handle = os.open(folder / name, _FLAGS)
    except FileNotFoundError as error:
        raise BundleError(f"The bundle lacks its file {name}. {REMEDY}") from error
    except OSError as error:
        raise BundleError(f"The bundle's {name} is a link or cannot be read. {REMEDY}") from error
    with open(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise BundleError(f"The bundle's {name} is not a plain file. {REMEDY}")
        if found.st_size > most:
            raise BundleError(f"The bundle's {name} is larger than the {most} bytes that it may have. {REMEDY}")
        return file.read(most + 1)
