"""Bring an array's axes to the design's (Z, Y, X) = (head, back, left) by permuting and flipping alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.errors import GeometryError
from pefuse.types import Volume

__all__ = ["Arrangement", "arrange", "to_axes"]

MAX_OBLIQUE_COSINE = 0.9  # 25 degrees: further off, no axis of the array is an axis of the body


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How an array is turned: axes in a new order, then flipped. `shape` and `affine` are those afterwards."""

    order: tuple[int, ...]
    flips: tuple[bool, ...]
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def turn(self, array: Any) -> Any:
        """A view of the whole array, turned."""
        return array.transpose(self.order)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def turn_plane(self, index: int, plane: Any) -> tuple[int, Any]:
        """Where plane `index` of the array's first axis comes to lie along Z, and a view of it, turned.

        Only for arrays of axial planes, whose first axis becomes Z.
        """
        assert self.order[0] == 0
        z = self.shape[0] - 1 - index if self.flips[0] else index
        upright = plane.transpose(self.order[1] - 1, self.order[2] - 1)
        return z, upright[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips[1:])]


def to_axes(hu: NDArray[np.int16] | NDArray[np.float32], affine: NDArray[np.float64]) -> Volume:
    """Permute and flip so that Z runs to the head, Y to the back and X to the patient's left.

    Args:
        hu: any order of axes.
        affine: index in that order, and 1, to LPS mm `(x, y, z, 1)`. A small obliqueness stays in it.

    Raises:
        GeometryError: the axes lie askew by more than 25 degrees, or the affine is singular or not finite.
    """
    arrangement = arrange(hu.shape, affine)
    return Volume(hu=np.ascontiguousarray(arrangement.turn(hu)), affine=arrangement.affine)


def arrange(shape: tuple[int, ...], affine: NDArray[np.float64]) -> Arrangement:
    """Find the permutation and flips for an array of `shape`.

    Raises:
        GeometryError: as `to_axes`.
    """
    directions = _directions(affine)
    order = max(permutations(range(3)), key=lambda p: sum(abs(directions[2 - k, p[k]]) for k in range(3)))
    turned = affine[:, [*order, 3]]
    z, y, x = (shape[axis] for axis in order)
    flips = tuple(bool(turned[2 - axis, axis] < 0) for axis in range(3))
    for axis, side in enumerate((z, y, x)):
        if flips[axis]:
            turned[:, 3] += turned[:, axis] * (side - 1)
            turned[:, axis] *= -1
    if min(abs(_directions(turned)[2 - axis, axis]) for axis in range(3)) < MAX_OBLIQUE_COSINE:
        raise GeometryError("The volume lies askew by more than 25 degrees to the body's axes.")
    return Arrangement(order=order, flips=flips, shape=(z, y, x), affine=turned)


def _directions(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of length 1: where each axis of the array points, in LPS."""
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise GeometryError("The orientation or spacing is not made of finite, independent numbers.")
    directions: NDArray[np.float64] = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return directions
