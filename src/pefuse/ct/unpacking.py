"""Unpack a zip or tar that may be made to do harm: nothing lands outside the folder, and no more than is allowed.

Limits are kept while the bytes come, whatever the archive says of its sizes. One entry that has no business in an
export of scans (a link, a device, a path that leads out) refuses the whole archive. An archive inside is a file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from pefuse.errors import ScanReadError
from pefuse.storage import atomic_folder, disk_error, write_text

__all__ = ["ONE_STUDY", "WHOLE_TREE", "UnpackingLimits", "is_archive", "opened", "unpack", "unpack_once"]


@dataclass(frozen=True, kw_only=True)
class UnpackingLimits:
    """What an archive may become; each entry costs about 1 kB of memory besides its bytes on disk."""

    entries: int
    total_bytes: int


ONE_STUDY = UnpackingLimits(entries=20_000, total_bytes=16 << 30)  # ten large CTs in one study
WHOLE_TREE = UnpackingLimits(entries=1_000_000, total_bytes=4 << 40)  # thousands of studies; the disk is less
MAX_RATIO = 50  # unpacked to packed: a CT gives 2 to 4, one that is mostly padding 20, a bomb 1,000 and more
RATIO_FREE_BYTES = 256 << 20  # so much may unpack at any ratio: a small study of blank slices is no bomb
MAX_READ_BYTES = 1 << 20  # at once: a header of a tar is read whole into memory, and may claim any length
DIRECTORY_BYTES_AN_ENTRY = 256  # of a zip's own list, which is read whole into memory: 46 and the path

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_CHUNK_BYTES = 256 << 10
_BY_HAND = "Unpack it yourself, see what is in it, and name the folder."
_SOURCE_MARK = ".unpacked-from"  # hidden: not taken for a file of the scans
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError,
    RuntimeError, ValueError, struct.error,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether `path` is a file that is named as a zip or tar is."""
    return path.name.lower().endswith(_SUFFIXES) and path.is_file()


@contextmanager
def opened(path: Path, *, within: Path | None = None) -> Iterator[Path]:
    """Yield a folder with what the archive `path` holds, which is removed afterwards; any other path as it is.

    The folder is made `within` another one, by default the system's for temporary files.

    Raises:
        ScanReadError: the archive is damaged, encrypted, too large or unsafe.
        StorageError: the disk is full.
    """
    if not is_archive(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pefuse-", dir=within) as folder:
        unpack(path, Path(folder), limits=ONE_STUDY)
        yield Path(folder)


def unpack_once(archive: Path, into: Path) -> None:
    """Unpack to the folder `into`, which appears when it is whole; not again while the archive has not changed.

    Raises:
        ScanReadError, StorageError: as `unpack`.
    """
    state = archive.stat()
    source = f"{state.st_size} {state.st_mtime_ns}"
    mark = into / _SOURCE_MARK
    if mark.is_file() and mark.read_text(encoding="utf-8") == source:
        return
    for leftover in (into, *into.parent.glob(f".partial-{into.name}-*")):
        shutil.rmtree(leftover, ignore_errors=True)
    with atomic_folder(into) as partial:
        unpack(archive, partial)
        write_text(partial / _SOURCE_MARK, source)


def unpack(archive: Path, into: Path, *, limits: UnpackingLimits = WHOLE_TREE) -> None:
    """Unpack a zip, or a tar that is plain or compressed by gzip, bzip2 or xz.

    Args:
        into: a folder that exists; nothing in it is overwritten.

    Raises:
        ScanReadError: the archive is damaged, encrypted, beyond the limits, or holds what no export of scans does:
            links, devices, a path that leads out, one name twice.
        StorageError: the disk is full.
    """
    try:
        file = archive.open("rb")
    except OSError as error:
        raise ScanReadError("The archive cannot be opened.", remedy="Check its path and its rights.") from error
    with file:
        unpacking = _Unpacking(into, limits, packed_bytes=os.fstat(file.fileno()).st_size)
        try:
            if archive.name.lower().endswith(".zip"):
                _unpack_zip(file, unpacking)
            else:
                _unpack_tar(file, unpacking)
        except _DAMAGED as error:
            raise disk_error(error) or ScanReadError(
                "The archive is damaged, or packed in a way that is not known here.", remedy=_BY_HAND
            ) from error


class _Unpacking:
    """Writes entries, and counts entries and bytes against the limits."""

    def __init__(self, into: Path, limits: UnpackingLimits, *, packed_bytes: int) -> None:
        self.into = into
        self._limits = limits
        self._most_bytes = min(limits.total_bytes, max(RATIO_FREE_BYTES, MAX_RATIO * packed_bytes))
        self._entries = 0
        self._bytes = 0

    def check_directory(self, size_bytes: int) -> None:
        if size_bytes > self._limits.entries * DIRECTORY_BYTES_AN_ENTRY:
            raise self._too_many()

    def count_entry(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise self._too_many()

    def count_bytes(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if self._bytes > self._most_bytes:
            most_mib = self._most_bytes >> 20
            raise _unsafe(f"becomes more than {most_mib} MiB, the most that is allowed for one of its size")

    def make_folder(self, name: str) -> None:
        with _one_name_once():
            self._target(name).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, source: IO[bytes]) -> None:
        target = self._target(name)
        with _one_name_once():
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        with file:
            shutil.copyfileobj(source, file, _CHUNK_BYTES)

    def _target(self, name: str) -> Path:
        path = PurePosixPath(name.replace("\\", "/"))  # older zips of Windows
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            raise _unsafe("holds a path that leads out of it")
        return self.into / path

    def _too_many(self) -> ScanReadError:
        return _unsafe(f"holds more than {self._limits.entries} entries, the most that is allowed")


class _Counted(io.RawIOBase):
    """A stream that is read forwards once; each byte counts, those that are skipped or are no entry's too."""

    def __init__(self, stream: IO[bytes], unpacking: _Unpacking) -> None:
        self._stream = stream
        self._unpacking = unpacking
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ_BYTES:
            raise _unsafe("holds a header of an absurd length")
        data = self._stream.read(size)
        self._position += len(data)
        self._unpacking.count_bytes(len(data))
        return data

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or position < self._position:
            raise ValueError("this stream is only read forwards")
        while self._position < position and self.read(min(position - self._position, _CHUNK_BYTES)):
            pass
        return self._position

    def tell(self) -> int:
        return self._position


@contextmanager
def _one_name_once() -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise _unsafe("holds one name twice") from error


def _unsafe(what: str) -> ScanReadError:
    return ScanReadError(f"The archive is not opened: it {what}.", remedy=_BY_HAND)


def _unpack_zip(file: BinaryIO, unpacking: _Unpacking) -> None:
    unpacking.check_directory(_zip_directory_bytes(file))
    with zipfile.ZipFile(file) as packed:
        for entry in packed.infolist():
            unpacking.count_entry()
            _unpack_zip_entry(packed, entry, unpacking)


def _unpack_zip_entry(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, unpacking: _Unpacking) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where the zip was not made on Unix
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe("holds a link or a device")
    if entry.flag_bits & 0x1:
        raise ScanReadError("The archive is encrypted.", remedy=_BY_HAND)
    if entry.filename.endswith(("/", "\\")):
        unpacking.make_folder(entry.filename)
        return
    with packed.open(entry) as source:
        unpacking.write(entry.filename, _Counted(source, unpacking))  # type: ignore[arg-type]


def _zip_directory_bytes(file: BinaryIO) -> int:
    """Length of the zip's own list of entries, as `zipfile` will believe it (APPNOTE 4.3.14 to 4.3.16)."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - (76 + 22 + 65535)))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return 0  # no zip: `zipfile` will say so
    (size_bytes,) = struct.unpack_from("<I", tail, end + 12)
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\x06\x07":
        (size_bytes,) = struct.unpack_from("<Q", tail, end - 76 + 40)
    return int(size_bytes)


def _unpack_tar(file: BinaryIO, unpacking: _Unpacking) -> None:
    with _decompressed(file) as stream, tarfile.open(fileobj=_Counted(stream, unpacking), mode="r:") as packed:
        for entry in packed:
            unpacking.count_entry()
            _unpack_tar_entry(packed, entry, unpacking)


def _unpack_tar_entry(packed: tarfile.TarFile, entry: tarfile.TarInfo, unpacking: _Unpacking) -> None:
    if not (entry.isreg() or entry.isdir()) or entry.issparse():
        raise _unsafe("holds a link or a device")
    try:
        tarfile.data_filter(entry, str(unpacking.into))
    except tarfile.FilterError as error:
        raise _unsafe("holds a path that leads out of it") from error
    if entry.isdir():
        unpacking.make_folder(entry.name)
        return
    source = packed.extractfile(entry)
    assert source is not None  # it is a regular file
    with source:
        unpacking.write(entry.name, source)


def _decompressed(file: BinaryIO) -> IO[bytes]:
    """The tar's bytes, by what the file begins with rather than by its name."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(file))
    if start.startswith(b"BZh"):
        return bz2.open(file)
    return lzma.open(file) if start == b"\xfd7zXZ\0" else file
