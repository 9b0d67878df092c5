"""Heat back in the scanner's geometry: from the model's grid to the voxels of the scan that was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from pefuse.errors import UsageError
from pefuse.storage import atomic_file
from pefuse.types import Volume

__all__ = ["heat_bytes", "to_scanner", "write_nifti"]

ASKEW = 1e-3  # of a voxel: what the grid's and the scan's axes may differ by over one step


def to_scanner(heat: NDArray[np.float32], affine: NDArray[np.float64], scan: Volume) -> NDArray[np.float32]:
    """The heat at each of the scan's voxels, linear between the grid's centres; 0 where the grid does not reach.

    Args:
        heat: `(Z, Y, X)` on the model's grid.
        affine: of the grid, index (z, y, x, 1) to LPS mm.
        scan: the volume that the grid was made of, as `read_scan` gives it: of it only shape and affine are used.

    Raises:
        UsageError: the grid's axes are not the scan's: it was made of another scan.
    """
    between = np.linalg.inv(affine) @ scan.affine  # index in the scan to index in the grid
    aside = between[:3, :3] - np.diag(np.diag(between)[:3])
    if np.abs(aside).max() > ASKEW:
        raise UsageError("The heat lies on a grid that was not made of this scan: explain the scan itself.")
    for axis, size in enumerate(scan.hu.shape):
        weights = _weights(heat.shape[axis], size, step=between[axis, axis], start=between[axis, 3])
        heat = np.moveaxis(np.tensordot(heat, weights, axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(heat, dtype=np.float32)


def heat_bytes(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Heat as 0 to 255, where 255 is the hottest voxel; all 0 where there is no heat."""
    most = float(heat.max())
    scaled = heat * np.float32(255.0 / most) if most > 0 else np.zeros_like(heat)
    return np.rint(scaled, out=scaled).astype(np.uint8)  # in place: a full-size scan is 300 MB in floats


def write_nifti(path: Path, voxels: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write `(Z, Y, X)` as a NIfTI in the place that `affine` (index (z, y, x, 1) to LPS mm) says.

    Raises:
        StorageError: the disk is full.
    """
    image: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels))
    columns = affine[:3, 2::-1]  # steps in mm along x, y, z of the image
    spacing = np.linalg.norm(columns, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((columns / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with atomic_file(path) as partial:
        SimpleITK.WriteImage(image, str(partial), useCompression=True)


def _weights(size: int, wanted: int, *, step: float, start: float) -> NDArray[np.float32]:
    """Weights `(wanted, size)`: linear between the grid's centres, level out to its faces, nothing beyond."""
    place = start + step * np.arange(wanted)
    inside = (place >= -0.5) & (place <= size - 0.5)
    nearest = np.clip(place, 0, size - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(nearest[:, None] - np.arange(size))) * inside[:, None]
    single: NDArray[np.float32] = weights.astype(np.float32)
    return single
