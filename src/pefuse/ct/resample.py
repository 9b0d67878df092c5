"""One anti-aliased pass from a scan's own grid to the model's.

The paper resamples to isotropic voxels and then resizes to 128 x 128 x 128, which stretches the whole field of
view to a cube of voxels. Two resamplings along the same axes are one: this pass goes straight to the result and
blurs once.

Edges are aligned (elsewhere called align_corners=False): the outer faces of the first and last voxels of input and
output coincide, so output voxel i covers the input interval [i r, (i + 1) r) with r = voxels in / voxels out. An
output voxel is a weighted mean of the inputs within r of its centre, the weight falling linearly to 0 (a triangle,
as in Pillow's and PyTorch's anti-aliased bilinear resize). When enlarging (r < 1) that is linear interpolation.
When shrinking, weights are tilted slightly so that any linear function of position comes out exact, at the borders
too: nothing moves by a fraction of a voxel.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pefuse.errors import UsageError
from pefuse.types import Volume

__all__ = ["GridPass", "axis_weights", "check_grid", "to_grid"]

Float = NDArray[np.float32]
MIN_GRID = 8
MAX_GRID = 1024


class GridPass:
    """Takes planes along Z one by one, in any order and from any thread, and makes the grid of them.

    Separable: each plane along Y and X as it comes, then all along Z. It holds `(Z, grid, grid)` float32.
    """

    def __init__(self, shape: tuple[int, ...], grid: int | tuple[int, int, int]) -> None:
        self.shape = shape
        self.sides = (grid, grid, grid) if isinstance(grid, int) else grid
        check_grid(self.sides)
        self._along_z, self._along_y, self._along_x = (
            sparse.csr_array(axis_weights(size, side)) for size, side in zip(shape, self.sides, strict=True)
        )
        self._planes = np.empty((shape[0], *self.sides[1:]), np.float32)

    def add(self, z: int, plane: NDArray[Any]) -> None:
        """Take plane `z`, `(Y, X)` HU.

        Sparse products, since a row of weights has a dozen entries of 512; and no BLAS, whose threads fight ours.
        """
        self._planes[z] = (self._along_x @ (self._along_y @ plane.astype(np.float32, order="C")).T).T

    def finish(self, affine: NDArray[np.float64]) -> Volume:
        """The grid of all planes; `affine` is the scan's."""
        cube = (self._along_z @ self._planes.reshape(len(self._planes), -1)).reshape(self.sides)
        hu = np.clip(np.rint(cube, out=cube), -32768, 32767).astype(np.int16)
        return Volume(hu=hu, affine=_grid_affine(self.shape, self.sides, affine))


def to_grid(volume: Volume, *, grid: int | tuple[int, int, int] = 128, threads: int = 2) -> Volume:
    """Resample the whole field of view to `grid` voxels (one number: a cube), int16 HU, rounded.

    Raises:
        UsageError: a side of the grid outside 8 to 1024.
    """
    grid_pass = GridPass(volume.hu.shape, grid)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(grid_pass.add, range(len(volume.hu)), volume.hu))
    return grid_pass.finish(volume.affine)


def check_grid(sides: tuple[int, ...]) -> None:
    """Refuse a grid that no model could use.

    Raises:
        UsageError: not three sides, or one outside 8 to 1024.
    """
    if len(sides) != 3 or not all(MIN_GRID <= side <= MAX_GRID for side in sides):
        raise UsageError(f"The grid has to have {MIN_GRID} to {MAX_GRID} voxels along each axis.")


def axis_weights(size: int, side: int) -> Float:
    """Weights `(side, size)` of one axis: row i makes output voxel i from the inputs; each row sums to 1."""
    ratio = size / side
    centres = (np.arange(side) + 0.5) * ratio - 0.5
    distance = np.arange(size) - np.clip(centres, 0, size - 1)[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(distance) / max(ratio, 1.0))
    if ratio > 1:
        weights *= 1.0 + _tilt(weights, distance)[:, None] * distance
    weights /= weights.sum(axis=1, keepdims=True)
    single: Float = weights.astype(np.float32)
    return single


def _tilt(weights: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The slope that brings each row's mean position back to its centre; weights stay positive."""
    first, second = (weights * distance).sum(axis=1), (weights * distance**2).sum(axis=1)
    slope: NDArray[np.float64] = np.divide(-first, second, out=np.zeros_like(first), where=second > 0)
    return slope


def _grid_affine(
    shape: tuple[int, ...], sides: tuple[int, int, int], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Index of the grid to index of the scan, then to mm: centre i lies at (i + 1/2) r - 1/2."""
    ratio = np.array(shape) / np.array(sides)
    scale = np.eye(4)
    scale[:3, :3] = np.diag(ratio)
    scale[:3, 3] = (ratio - 1) / 2
    combined: NDArray[np.float64] = affine @ scale
    return combined
