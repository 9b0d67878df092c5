"""What is measured of a prepared volume: where its planes are cut, and how bright its soft tissue is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pefuse.ct.lungs import lung_box
from pefuse.errors import PlausibilityError
from pefuse.types import Volume

__all__ = ["Measures", "measure"]

SOFT_TISSUE_HU = (-200.0, 300.0)  # fat to blood with contrast: neither air nor lung nor most of bone
_THINNED = 2  # every second voxel along each axis: an eighth of them give the same mean


@dataclass(frozen=True, kw_only=True)
class Measures:
    """`planes` is the index `(z, y, x)` at which the three planes are cut; `tissue_hu` NaN without soft tissue."""

    planes: tuple[int, int, int]
    lungs_found: bool
    tissue_hu: float


def measure(volume: Volume) -> Measures:
    """Planes through the middle of the box around the lungs, or of the volume where no lungs are found."""
    try:
        box = lung_box(volume)
    except PlausibilityError:
        box = None
    sides = box or tuple(slice(0, side) for side in volume.hu.shape)
    z, y, x = ((side.start + side.stop) // 2 for side in sides)
    return Measures(planes=(z, y, x), lungs_found=box is not None, tissue_hu=_tissue_hu(volume))


def _tissue_hu(volume: Volume) -> float:
    low, high = SOFT_TISSUE_HU
    sample = volume.hu[::_THINNED, ::_THINNED, ::_THINNED]
    tissue = sample[(sample >= low) & (sample <= high)]
    return float(tissue.mean()) if tissue.size else float(np.nan)
