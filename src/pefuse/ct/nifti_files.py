"""Make sure that a NIfTI file is whole before ITK reads it, which fills up a truncated one without a word.

A compressed file is unpacked to a temporary one, which checks its CRC. It also keeps ITK from reading `x.nii`
where `x.nii.gz` was asked for and both lie side by side.
"""

from __future__ import annotations

import gzip
import math
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pefuse.errors import ScanReadError

__all__ = ["whole_nifti"]

_ROOM_BYTES = 64 << 20  # for what may follow the voxels
_DAMAGED = "The NIfTI file is damaged or truncated."


@contextmanager
def whole_nifti(path: Path) -> Iterator[Path]:
    """Yield an uncompressed NIfTI file that holds all the voxels its header promises.

    Raises:
        ScanReadError: it does not.
    """
    if path.name.lower().endswith(".gz"):
        with tempfile.TemporaryDirectory(prefix="pefuse-") as folder:
            unpacked = Path(folder, "scan.nii")
            _unpack(path, unpacked)
            _check_size(unpacked)
            yield unpacked
    else:
        _check_size(path)
        yield path


def _unpack(path: Path, unpacked: Path) -> None:
    try:
        with gzip.open(path, "rb") as packed, unpacked.open("wb") as file:
            left = _bytes_promised(packed.read(544)) + _ROOM_BYTES
            packed.seek(0)
            while chunk := packed.read(1 << 20):
                left -= len(chunk)
                if left < 0:  # it unpacks to far more than its header promises
                    raise ScanReadError(_DAMAGED)
                file.write(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ScanReadError(_DAMAGED) from error


def _check_size(path: Path) -> None:
    with path.open("rb") as file:
        promised = _bytes_promised(file.read(544))
    if path.stat().st_size < promised:
        raise ScanReadError(_DAMAGED)


def _bytes_promised(head: bytes) -> int:
    """The size of the file by its header, NIfTI-1 or NIfTI-2, of either byte order."""
    if len(head) < 348:
        raise ScanReadError(_DAMAGED)
    dimensions: tuple[int, ...]
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", head)
        if size == 348:
            dimensions = struct.unpack_from(f"{order}8h", head, 40)
            (bits,) = struct.unpack_from(f"{order}h", head, 72)
            (offset,) = struct.unpack_from(f"{order}f", head, 108)
        elif size == 540 and len(head) >= 544:
            dimensions = struct.unpack_from(f"{order}8q", head, 16)
            (bits,) = struct.unpack_from(f"{order}h", head, 14)
            (offset,) = struct.unpack_from(f"{order}q", head, 168)
        else:
            continue
        count, sides = dimensions[0], dimensions[1:]
        if 1 <= count <= 7 and min(sides[:count]) > 0 and bits > 0 and 0 <= offset < 1 << 40:
            voxels: int = math.prod(sides[:count])
            return int(offset) + voxels * int(bits) // 8
    raise ScanReadError(_DAMAGED)
