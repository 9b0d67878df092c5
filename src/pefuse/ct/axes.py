"""Bring an array's axes to the design's (Z, Y, X) = (head, back, left) by permuting and flipping alone."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.errors import GeometryError
from pefuse.types import Volume

__all__ = ["MAX_OBLIQUE_COSINE", "to_axes"]

MAX_OBLIQUE_COSINE = 0.9  # 25 degrees: further off, no axis of the array is an axis of the body


def to_axes(hu: NDArray[np.int16] | NDArray[np.float32], affine: NDArray[np.float64]) -> Volume:
    """Permute and flip so that Z runs to the head, Y to the back and X to the patient's left.

    Args:
        hu: any order of axes.
        affine: index in that order, and 1, to LPS mm `(x, y, z, 1)`. A small obliqueness stays in it.

    Raises:
        GeometryError: the axes lie askew by more than 25 degrees, or the affine is singular or not finite.
    """
    directions = _directions(affine)
    order = max(permutations(range(3)), key=lambda p: sum(abs(directions[2 - k, p[k]]) for k in range(3)))
    turned = affine[:, [*order, 3]]
    array: Any = hu.transpose(order)
    for axis in range(3):
        if turned[2 - axis, axis] < 0:
            turned[:, 3] += turned[:, axis] * (array.shape[axis] - 1)
            turned[:, axis] *= -1
            array = np.flip(array, axis)
    if min(abs(_directions(turned)[2 - axis, axis]) for axis in range(3)) < MAX_OBLIQUE_COSINE:
        raise GeometryError("The volume lies askew by more than 25 degrees to the body's axes.")
    return Volume(hu=np.ascontiguousarray(array), affine=turned)


def _directions(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of length 1: where each axis of the array points, in LPS."""
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise GeometryError("The orientation or spacing is not made of finite, independent numbers.")
    directions: NDArray[np.float64] = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return directions
