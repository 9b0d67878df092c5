"""Pixels of slices as Hounsfield units: slope and intercept of each slice, applied in float.

Uncompressed pixels are read straight from their place in the file, and compressed ones go from there to pydicom's
decoders, which gives the same bits as pydicom's own reading at a fraction of its time (tests compare the two).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from pefuse.ct.repairs import Repair
from pefuse.ct.slices import NATIVE_LITTLE_ENDIAN, SliceHeader
from pefuse.errors import ScanAccessError, ScanReadError
from pefuse.storage import refused_by_system

__all__ = ["HIGHEST_HU", "LOWEST_HU", "HuArray", "HuReader", "read_stored"]

LOWEST_HU = -1024  # nothing absorbs less than vacuum, -1000 with noise; scanners fill up with far lower values
HIGHEST_HU = 32767
BRIGHTEST_HU = 4095  # the usual scale's end, which metal reaches
PADDING_BELOW_HU = -1500  # lower than any noise: the scanner's filling outside its circle

HuArray = NDArray[np.int16] | NDArray[np.float32]


class HuReader:
    """Decodes slices of one series to HU, all to one `dtype`; may be used by several threads.

    int16 where every slope is 1 and every intercept whole, so that no bit is lost; else float32. Values below
    -1024 HU become -1024.
    """

    def __init__(self, headers: Sequence[SliceHeader]) -> None:
        whole = all(_keeps_integers(header) for header in headers)
        self.headers = headers
        self.shape = (headers[0].rows, headers[0].columns)
        self.dtype: np.dtype[Any] = np.dtype(np.int16 if whole else np.float32)
        self._to_hu: Callable[[SliceHeader, Any], bool] = _integers_to_hu if whole else _floats_to_hu
        self._padded: set[int] = set()

    def read(self, index: int, out: Any) -> None:
        """Write slice `index` to `out`, `(row, column)` and contiguous.

        Raises:
            ScanReadError: it cannot be decoded, or is not of the size that its header states.
        """
        if self._to_hu(self.headers[index], out):
            self._padded.add(index)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was changed in the slices read so far."""
        detail = f"set to {LOWEST_HU} HU in {len(self._padded)} slices"
        return (Repair(name="padding", detail=detail),) if self._padded else ()


def read_stored(header: SliceHeader, *, into: NDArray[np.int16] | None = None) -> NDArray[np.integer]:
    """The stored values of one slice, `(row, column)`, before slope and intercept.

    `into` is memory for 16-bit values, used where that saves a copy: what is returned may or may not lie in it.

    Raises:
        ScanReadError: they cannot be decoded, or have another size than the header states.
        ScanAccessError: the system does not give them.
    """
    try:
        stored = _read_native(header, into) if _is_native(header) else _decode(header)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # codecs raise anything, Rust's panics too; the text may hold a path
        if refused_by_system(error):
            raise ScanAccessError("The pixels of a slice could not be read.") from error
        raise ScanReadError(
            f"The pixels of a slice cannot be decoded ({type(error).__name__}).",
            remedy="Export the series again, uncompressed if its compression is unusual.",
        ) from error
    if stored.shape != (header.rows, header.columns):
        raise ScanReadError("A slice's pixels have another size than its header states.")
    return stored


def _decode(header: SliceHeader) -> NDArray[np.integer]:
    if header.frame is None:
        return _decode_fragments(header) if _is_encapsulated(header) else pydicom.dcmread(header.path).pixel_array
    stored: NDArray[np.integer] = pixel_array(
        _whole_file(header.path, header.path.stat().st_mtime_ns), index=header.frame
    )
    return stored


def _is_encapsulated(header: SliceHeader) -> bool:
    assert header.pixels is not None
    return header.pixels.offset > 0 and UID(header.transfer_syntax).is_encapsulated


def _decode_fragments(header: SliceHeader) -> NDArray[np.integer]:
    """Hand the decoder the file's own bytes: parsing the header once more takes as long as decoding RLE."""
    assert header.pixels is not None
    with header.path.open("rb", buffering=0) as file:
        file.seek(header.pixels.offset)
        fragments = file.read()
    options: Any = {
        "rows": header.rows,
        "columns": header.columns,
        "number_of_frames": 1,
        "samples_per_pixel": header.samples,
        "photometric_interpretation": header.photometric,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "pixel_keyword": "PixelData",
    }
    stored: NDArray[np.integer] = get_decoder(header.transfer_syntax).as_array(fragments, index=0, **options)[0]
    return stored


@lru_cache(maxsize=1)
def _whole_file(path: Path, changed_ns: int) -> pydicom.Dataset:
    """A file of many frames, kept until another is asked for, so that it is parsed once and not for each frame."""
    return pydicom.dcmread(path)


def _is_native(header: SliceHeader) -> bool:
    return header.transfer_syntax in NATIVE_LITTLE_ENDIAN and header.bits_allocated == 16


def _read_native(header: SliceHeader, into: NDArray[np.int16] | None) -> NDArray[np.integer]:
    assert header.pixels is not None
    shape = (header.rows, header.columns)
    memory = np.empty(shape, np.int16) if into is None else into
    stored: NDArray[np.integer] = memory.view(np.dtype("<i2" if header.signed else "<u2"))
    with header.path.open("rb", buffering=0) as file:
        file.seek(header.pixels.offset)
        if file.readinto(memory.data) != memory.nbytes:
            raise EOFError
    unused_bits = header.bits_allocated - header.bits_stored
    if unused_bits:  # their content is undefined (PS3.5 8.1.1): push them out, as pydicom does
        np.left_shift(stored, unused_bits, out=stored)
        np.right_shift(stored, unused_bits, out=stored)
    return stored


def _keeps_integers(header: SliceHeader) -> bool:
    return header.slope == 1 and header.intercept is not None and header.intercept == int(header.intercept)


def _integers_to_hu(header: SliceHeader, out: NDArray[np.int16]) -> bool:
    """Write HU to `out`; clipped before the intercept is added, so that nothing can overflow."""
    assert header.intercept is not None
    stored, padded = _without_bright_padding(header, read_stored(header, into=out))
    intercept = int(header.intercept)
    padded |= int(stored.min()) + intercept < PADDING_BELOW_HU
    limits = np.iinfo(stored.dtype)
    low, high = (min(max(edge - intercept, limits.min), limits.max) for edge in (LOWEST_HU, HIGHEST_HU))
    # Two's complement: the sum is right modulo 2**16, and it lies in range after the clip.
    in_place = stored if np.may_share_memory(stored, out) else None
    np.add(np.clip(stored, low, high, out=in_place).astype(np.int16, copy=False), np.int16(intercept), out=out)
    return padded


def _floats_to_hu(header: SliceHeader, out: NDArray[np.float32]) -> bool:
    assert header.slope is not None
    assert header.intercept is not None
    stored, padded = _without_bright_padding(header, read_stored(header))
    np.multiply(stored, np.float32(header.slope), out=out, dtype=np.float32, casting="unsafe")
    out += np.float32(header.intercept)
    padded |= bool(out.min() < PADDING_BELOW_HU)
    np.clip(out, LOWEST_HU, HIGHEST_HU, out=out)
    return padded


def _without_bright_padding(header: SliceHeader, stored: NDArray[np.integer]) -> tuple[NDArray[np.integer], bool]:
    """Darken a filling value that lies above all tissue and metal; one below them is clipped anyway."""
    assert header.slope is not None
    assert header.intercept is not None
    padding = header.padding
    if padding is None:
        return stored, False
    if header.signed and padding >= 1 << (header.bits_allocated - 1):
        padding -= 1 << header.bits_allocated  # written as an unsigned number
    if padding * header.slope + header.intercept <= BRIGHTEST_HU:
        return stored, False
    limits = np.iinfo(stored.dtype)
    darkest = int(np.clip((LOWEST_HU - header.intercept) / header.slope, limits.min, limits.max))
    filled = stored == padding
    return np.where(filled, stored.dtype.type(darkest), stored), bool(filled.any())
