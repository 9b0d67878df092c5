"""Whether each plane of a volume belongs between its neighbours.

Bodies change slowly along their length: two planes with one between them differ by more than either does from that
one. A plane for which it is the other way round is another's: its position is wrong, its values are scaled
otherwise, its pixels are blank, or two acquisitions lie in turn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.errors import GeometryError

__all__ = ["ContinuityCheck"]

# Difference to the nearer neighbour over the neighbours' own. In chests, real and simulated, it is at most 0.7;
# it tends to 1 where noise is all there is; one plane out of place had 7 and more (dev/LOG.md).
MAX_RATIO = 1.5
MIN_EXCESS_HU = 3.0  # of a mean over the plane: less is no fault that anyone would see
MAX_END_RATIO = 5.0  # the first and the last plane have one neighbour; in chests up to 1.4
MIN_END_HU = 50.0
_HU_RANGE = (-1000.0, 300.0)  # metal and padding differ between planes as they like
_SAMPLES_A_SIDE = 128  # pixels looked at
_BLOCK = 4  # pixels averaged along each side, against noise


class ContinuityCheck:
    """Keeps a coarse picture of each plane as they come, in any order and from any thread."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        planes, *sides = shape
        self._steps = tuple(max(1, side // _SAMPLES_A_SIDE) for side in sides)
        rows, columns = (
            len(range(0, side, step)) // _BLOCK for side, step in zip(sides, self._steps, strict=True)
        )
        self._coarse = np.empty((planes, rows, columns), np.float32)

    def add(self, z: int, plane: NDArray[Any]) -> None:
        """Take plane `z`, `(Y, X)` HU."""
        _, rows, columns = self._coarse.shape
        pixels = plane[:: self._steps[0], :: self._steps[1]][: rows * _BLOCK, : columns * _BLOCK]
        clipped = np.clip(pixels, *_HU_RANGE).astype(np.float32, order="C")
        self._coarse[z] = clipped.reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))

    def finish(self) -> None:
        """Refuse a volume with planes that do not belong where they are.

        Raises:
            GeometryError: with how many.
        """
        next_one, next_but_one = (self._differences(reach) for reach in (1, 2))
        nearer = np.minimum(next_one[:-1], next_one[1:])
        astray = int(((nearer > MAX_RATIO * next_but_one) & (nearer - next_but_one > MIN_EXCESS_HU)).sum())
        for end, inside in (next_one[:2], next_one[:-3:-1]):
            astray += bool(end > MAX_END_RATIO * inside and end > MIN_END_HU)
        if astray:
            raise GeometryError(
                f"{astray} of {len(self._coarse)} slices do not fit between their neighbours "
                "(a wrong position, another scale, blank pixels, or two acquisitions in turn)."
            )

    def _differences(self, reach: int) -> NDArray[np.float32]:
        """Mean absolute difference, in HU, of each plane to the one `reach` further on."""
        differences: NDArray[np.float32] = np.abs(self._coarse[reach:] - self._coarse[:-reach]).mean(axis=(1, 2))
        return differences
