"""The planes of a volume, made from the slices of a series: as they are, or repaired.

A plane is one slice, or lies between two (a slice is missing there); where the gantry was tilted its pixels are
moved within the plane, so that planes lie one above another along their normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.ct.headers import quiet_pydicom
from pefuse.ct.pixels import LOWEST_HU, HuArray, HuReader
from pefuse.ct.repairs import Repair
from pefuse.ct.slices import SliceHeader

__all__ = ["Plane", "PlaneReader", "read_planes"]

_READ_AHEAD_THREADS = 2  # hides the disk's latency; decoding itself is bound by memory


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A plane from slice `below`, going `share` of the way to slice `above`.

    `shift` says by how many rows and columns, 0 or more, its pixels move; what comes free is air.
    """

    below: int
    above: int
    share: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


class PlaneReader:
    """Reads planes `(row, column)` in HU, all to one `dtype` and `shape`; may be used by several threads.

    See `HuReader` for the type. What is interpolated is rounded where that is int16.
    """

    def __init__(self, headers: Sequence[SliceHeader], planes: Sequence[Plane], shape: tuple[int, int]) -> None:
        """`shape` holds each slice after its shift."""
        self.planes, self.shape = planes, shape
        self._slices = HuReader(headers)
        self.dtype = self._slices.dtype

    def read(self, index: int) -> Any:
        """Plane `index`.

        Raises:
            ScanReadError: a slice of it cannot be decoded, or is not of the size that its header states.
        """
        plane = self.planes[index]
        hu = self._slice(plane.below)
        if plane.share:
            hu = _between(hu, self._slice(plane.above), plane.share)
        return hu if hu.shape == self.shape and not any(plane.shift) else self._moved(hu, plane.shift)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What was changed in the slices read so far."""
        return self._slices.repairs

    def _slice(self, index: int) -> Any:
        hu = np.empty(self._slices.shape, self.dtype)
        self._slices.read(index, hu)
        return hu

    def _moved(self, hu: Any, shift: tuple[float, float]) -> Any:
        (row, row_share), (column, column_share) = (divmod(moved, 1.0) for moved in shift)
        canvas: Any = np.full(self.shape, LOWEST_HU, hu.dtype)
        rows, columns = hu.shape
        canvas[int(row) : int(row) + rows, int(column) : int(column) + columns] = hu
        for axis, share in enumerate((row_share, column_share)):
            if share:
                canvas = _between(canvas, _next(canvas, axis), share)
        return canvas


def read_planes(reader: PlaneReader) -> HuArray:
    """All planes in their order, `(plane, row, column)`.

    Raises:
        ScanReadError: as `PlaneReader.read`.
    """
    hu: Any = np.empty((len(reader.planes), *reader.shape), reader.dtype)

    def take(index: int) -> None:
        hu[index] = reader.read(index)

    with quiet_pydicom(), ThreadPoolExecutor(_READ_AHEAD_THREADS) as pool:
        list(pool.map(take, range(len(reader.planes))))
    filled: HuArray = hu
    return filled


def _next(canvas: NDArray[Any], axis: int) -> NDArray[Any]:
    """The canvas moved by one along `axis`; the last line, which is air, comes first."""
    moved: NDArray[Any] = np.roll(canvas, 1, axis)
    return moved


def _between(one: NDArray[Any], other: NDArray[Any], share: float) -> NDArray[Any]:
    """Linear interpolation, `share` of the way from one to the other, in the type that both have."""
    mixed = one.astype(np.float32) * np.float32(1 - share) + other.astype(np.float32) * np.float32(share)
    same_type: NDArray[Any] = np.rint(mixed).astype(one.dtype) if one.dtype == np.int16 else mixed
    return same_type
