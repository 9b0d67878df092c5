"""Where the lungs are: a box around them, found by threshold, for models that see no more of the scan than that.

A chest fills a little over half of a CT's field of view from front to back, and three quarters across. On a
coarse grid the rest is voxels that heart and vessels could use.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pefuse.ct.plausibility import AIR_TISSUE_BORDER_HU, enclosed_air
from pefuse.errors import PlausibilityError
from pefuse.types import Volume

__all__ = ["MARGIN_MM", "cut_to_lungs", "lung_box"]

MARGIN_MM = 15.0  # so that chest wall, spine and the liver's dome with its veins stay in
MIN_LUNG_SHARE = 0.1  # of the largest piece of enclosed air: of stomach and bowel none is that large
MIN_SLICE_SHARE = (
    0.03  # of the largest slice's lung: the windpipe alone, which goes on up the neck, has a hundredth
)
_SAMPLE_MM = 4.0  # lungs are large: their borders need no finer look, and MARGIN_MM is wider
_SMOOTH_VOXELS = 3  # of the sample, within a slice: noise makes holes in fat and muscle

Box = tuple[slice, slice, slice]


def cut_to_lungs(volume: Volume) -> Volume:
    """The part of the volume within `lung_box`; voxels stay, and so does where they lie in the scanner.

    Raises:
        PlausibilityError: there is no air inside a body.
    """
    box = lung_box(volume)
    shift = np.eye(4)
    shift[:3, 3] = [side.start for side in box]
    return Volume(hu=volume.hu[box], affine=volume.affine @ shift)


def lung_box(volume: Volume) -> Box:
    """Voxels `(Z, Y, X)` of the box around both lungs and `MARGIN_MM` more, within the scan.

    Raises:
        PlausibilityError: there is no air inside a body.
    """
    steps = tuple(max(1, round(_SAMPLE_MM / spacing)) for spacing in volume.spacing_mm)
    sample = ndimage.uniform_filter(
        _thinned(volume.hu, steps).astype(np.float32), size=(1, _SMOOTH_VOXELS, _SMOOTH_VOXELS), mode="nearest"
    )
    lungs = _lungs(enclosed_air(sample < AIR_TISSUE_BORDER_HU))
    sides = []
    for axis, (step, size, spacing) in enumerate(zip(steps, volume.hu.shape, volume.spacing_mm, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(lungs.any(axis=others))
        margin = math.ceil(MARGIN_MM / spacing)
        low, high = places[0] * step - margin, (places[-1] + 1) * step + margin
        sides.append(slice(max(0, int(low)), min(size, int(high))))
    return sides[0], sides[1], sides[2]


def _thinned(hu: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    z, y, x = steps
    thin: NDArray[Any] = hu[::z, ::y, ::x]
    return thin


def _lungs(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The large pieces of enclosed air; both lungs are often one, joined by the windpipe."""
    labels, count = ndimage.label(air)
    if not count:
        raise PlausibilityError("It shows no air inside a body, so the lungs cannot be found.")
    sizes = np.bincount(labels.ravel())[1:]
    large = np.flatnonzero(sizes >= MIN_LUNG_SHARE * sizes.max()) + 1
    lungs: NDArray[np.bool_] = np.isin(labels, large)
    area = lungs.sum(axis=(1, 2))
    lungs[area < MIN_SLICE_SHARE * area.max()] = False
    return lungs
