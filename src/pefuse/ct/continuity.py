"""Whether each plane of a volume belongs between its neighbours.

Bodies change slowly along their length: two planes with one between them differ by more than either does from that
one. A plane for which it is the other way round is another's: its position is wrong, its values are scaled
otherwise, its pixels are blank, or two acquisitions lie in turn. And no step from plane to plane is far larger
than those beside it: where one is, two bodies meet, or blocks of slices are exchanged or reversed.
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
# A step over the larger of the steps beside it: at most 1.2 in ten chests, real and simulated. Two bodies that
# meet had 4 and more, by 95 HU and more, blocks in reverse 4 (dev/LOG.md). A breath between two slabs makes a step
# too, a smaller one: it is told.
MAX_STEP_RATIO = 2.5
MIN_STEP_EXCESS_HU = 15.0
MAX_STEP_EXCESS_HU = 60.0
MAX_ALTERNATION = 1.5  # of every second step over the others: 1.03 at most in chests, 3 with slices in pairs
MOST_COPIES_SHARE = 0.1  # a volume enlarged without interpolation has copies everywhere
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

    def finish(self) -> tuple[str, ...]:
        """Refuse a volume with planes that do not belong where they are.

        Returns:
            Warnings: what a person should look at.

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
        if self._enlarged_by_copies(next_one):
            return ()
        return _checked_steps(next_one)

    def _enlarged_by_copies(self, steps: NDArray[np.float32]) -> bool:
        """Whether planes are copies of others throughout; a few are refused. Planes of air alone may be alike."""
        empty = self._coarse.max(axis=(1, 2)) == self._coarse.min(axis=(1, 2))
        copies = int(((steps == 0) & ~empty[1:]).sum())
        if 0 < copies <= MOST_COPIES_SHARE * len(steps):
            raise GeometryError(f"{copies} of {len(steps) + 1} slices have the pixels of the slice before them.")
        return copies > 0

    def _differences(self, reach: int) -> NDArray[np.float32]:
        """Mean absolute difference, in HU, of each plane to the one `reach` further on."""
        differences: NDArray[np.float32] = np.abs(self._coarse[reach:] - self._coarse[:-reach]).mean(axis=(1, 2))
        return differences


def _checked_steps(steps: NDArray[np.float32]) -> tuple[str, ...]:
    beside = np.maximum(steps[:-2], steps[2:])
    inner = steps[1:-1]
    excess = inner - beside
    abrupt = (inner > MAX_STEP_RATIO * beside) & (excess > MIN_STEP_EXCESS_HU)
    if (abrupt & (excess > MAX_STEP_EXCESS_HU)).any():
        raise GeometryError(
            f"The body changes abruptly at {int(abrupt.sum())} of {len(steps)} steps from slice to slice "
            "(parts of two bodies, or slices exchanged or in reverse)."
        )
    even, odd = steps[: len(steps) // 2 * 2 : 2], steps[1::2]
    alternation = float(np.median(np.log((even + 1) / (odd + 1))))  # 1 HU, for planes of air
    if abs(alternation) > np.log(MAX_ALTERNATION):
        raise GeometryError("Every second step from slice to slice is far larger: slices are exchanged in pairs.")
    if not abrupt.any():
        return ()
    return (f"the body changes abruptly at {int(abrupt.sum())} of {len(steps)} steps from slice to slice",)
