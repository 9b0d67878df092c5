"""A scan and its heat made small enough to travel inside the page: coarser voxels, steps of 8 HU, packed NIfTI."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from pefuse.ct import to_grid
from pefuse.types import Volume

__all__ = ["LONGEST_SIDES", "STEP_HU", "SmallPair", "fitting_pairs", "small_pair"]

LOWEST_HU, STEP_HU = -1024, 8  # 256 steps reach to 1016 HU: a fourteenth of noise, a fortieth of a narrow window
LONGEST_SIDES = (96, 80, 64, 48, 32)  # voxels, finest first
_SLOPE_AT = 112  # bytes into a NIfTI-1 header: scl_slope, and scl_inter behind it, both float32

Pair = tuple[Volume, Volume]


@dataclass(frozen=True, kw_only=True)
class SmallPair:
    """A scan and its heat, gzipped NIfTI files of one grid, and where the heat is greatest, in RAS mm.

    Without any heat that is the middle of the grid.
    """

    ct: bytes = field(repr=False)
    heat: bytes = field(repr=False)
    hottest_mm: tuple[float, float, float]
    longest: int  # voxels along the longest side

    @property
    def size(self) -> int:
        return len(self.ct) + len(self.heat)


def fitting_pairs(pairs: Sequence[Pair], *, most_bytes: int) -> list[SmallPair]:
    """All scans with their heat, at the finest of `LONGEST_SIDES` that takes at most `most_bytes` together."""
    for longest in LONGEST_SIDES:
        small = [small_pair(ct, heat, longest=longest) for ct, heat in pairs]
        if sum(pair.size for pair in small) <= most_bytes:
            break
    return small


def small_pair(ct: Volume, heat: Volume, *, longest: int) -> SmallPair:
    """Resample both to at most `longest` voxels a side and pack them.

    Args:
        ct: HU.
        heat: 0 to 255, on the same grid.
    """
    ct, heat = (_at_most(volume, longest) for volume in (ct, heat))
    steps = np.clip(np.rint((ct.hu.astype(np.float32) - LOWEST_HU) / STEP_HU), 0, 255).astype(np.uint8)
    hottest = np.unravel_index(int(heat.hu.argmax()), heat.hu.shape) if heat.hu.any() else _middle(heat)
    left, back, up = (heat.affine @ [*hottest, 1.0])[:3]
    return SmallPair(
        ct=_nifti(steps, ct.affine, slope=STEP_HU, intercept=LOWEST_HU),
        heat=_nifti(np.clip(heat.hu, 0, 255).astype(np.uint8), heat.affine, slope=1, intercept=0),
        hottest_mm=(-float(left), -float(back), float(up)),
        longest=max(ct.hu.shape),
    )


def _at_most(volume: Volume, longest: int) -> Volume:
    z, y, x = (min(side, longest) for side in volume.hu.shape)
    return volume if (z, y, x) == volume.hu.shape else to_grid(volume, grid=(z, y, x))


def _middle(volume: Volume) -> tuple[int, ...]:
    return tuple(side // 2 for side in volume.hu.shape)


def _nifti(values: NDArray[np.uint8], affine: NDArray[np.float64], *, slope: float, intercept: float) -> bytes:
    """A `.nii.gz` file; a voxel's value is `slope * stored + intercept`."""
    image: Any = SimpleITK.GetImageFromArray(values)  # half typed
    directions = affine[:3, :3][:, ::-1]  # ITK counts (i, j, k) with i fastest; its array is (k, j, i)
    spacing = np.linalg.norm(directions, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((directions / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        SimpleITK.WriteImage(image, str(path))
        content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, _SLOPE_AT, slope, intercept)  # ITK writes 1 and 0 whatever is asked
    return gzip.compress(bytes(content), 9, mtime=0)  # the same bytes every time
