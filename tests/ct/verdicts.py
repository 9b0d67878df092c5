"""Whether a volume that a reader gave is the one that the files hold: compared in millimetres, never in indices.

The reader's values are looked up where the truth's voxels lie in the patient, and the other way round. So a
volume that is mirrored, moved, stretched, sheared, cut off or on another HU scale is told from the right one,
whatever the order of its axes. What a reader says on stderr or in a log counts for nothing: whoever runs it over a
thousand studies gets a volume all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Truth", "Verdict", "verdict"]

Verdict = Literal["right", "silently wrong"]

MEDIAN_HU = 2.0  # a slope of 0.9 rounds by half of that; a shift of half a voxel moves the phantom by 4 HU or more
WORST_HU = 30.0  # of 99 in 100 voxels: a truncated slope shows here
INTERPOLATED_MEDIAN_HU = 2.5  # linear between planes 9.6 mm apart: the phantom's curvature allows 2
EDGE_HU = 100.0  # where neighbours differ by more, any interpolation is far off
LOWEST_HU = -1024.0  # lower values are filling: -1024 and -2000 both mean that nothing was measured
BODY_HU = -950.0  # above it lies body or lung, whose texture shows a wrong place; air is alike everywhere
FEWEST_VOXELS = 50  # of body: a plane that shows less, at a corner of a tilted box, shows nothing
EXTENT_VOXELS = 0.5


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A volume that the files hold: `hu` `(Z, Y, X)`, `affine` from (z, y, x, 1) to LPS mm.

    `interpolated` names planes that can only be made from their neighbours. With `may_be_larger` what a reader
    gives may go beyond the truth, as a sheared box's frame does.
    """

    hu: NDArray[np.float32]
    affine: NDArray[np.float64]
    interpolated: frozenset[int] = frozenset()
    may_be_larger: bool = False


def verdict(volume: NDArray[Any], affine: NDArray[np.float64], truths: Sequence[Truth]) -> Verdict:
    """Right where the volume is one of `truths`; with no truth there is none to be right about.

    Args:
        volume: HU, three axes in any order.
        affine: index in that order, and 1, to LPS mm `(x, y, z, 1)`.
    """
    fits = any(
        _same_place(volume.shape, affine, truth) and _same_values(volume, affine, truth) for truth in truths
    )
    return "right" if fits else "silently wrong"


def _same_place(shape: tuple[int, ...], affine: NDArray[np.float64], truth: Truth) -> bool:
    """Whether the box of the voxels' centres is the truth's, to within half a voxel on each side."""
    if len(shape) != 3 or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        return False
    found, needed = _corners(shape, affine), _corners(truth.hu.shape, truth.affine)
    voxel_mm = np.abs(truth.affine[:3, :3]).max(axis=1)
    low, high = found.min(axis=0) - needed.min(axis=0), found.max(axis=0) - needed.max(axis=0)
    tolerance_mm = EXTENT_VOXELS * voxel_mm + 1e-6
    if truth.may_be_larger:
        return bool((low <= tolerance_mm).all() and (high >= -tolerance_mm).all())
    return bool((np.abs(low) <= tolerance_mm).all() and (np.abs(high) <= tolerance_mm).all())


def _corners(shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    indices = np.array([[*corner, 1] for corner in product(*((0, side - 1) for side in shape))])
    corners: NDArray[np.float64] = (indices @ affine.T)[:, :3]
    return corners


def _same_values(volume: NDArray[Any], affine: NDArray[np.float64], truth: Truth) -> bool:
    """Both ways: a volume may hold the truth in every second plane and something else between."""
    found = _looked_up(volume, affine, truth.hu.shape, truth.affine)
    if not np.isfinite(found).all():
        return False
    span = _span(truth.hu)
    there = _planes_fit(found, truth.hu, span, interpolated=truth.interpolated)
    upright = np.moveaxis(np.arange(volume.size).reshape(volume.shape), _body_axis(affine), 0)
    needed, near = (_looked_up(values, truth.affine, volume.shape, affine) for values in (truth.hu, span))
    own = [values.ravel()[upright] for values in (volume.astype(float), needed, near)]
    return there and _planes_fit(*own, interpolated=range(len(upright)))


def _planes_fit(
    found: NDArray[Any], needed: NDArray[Any], span: NDArray[Any], *, interpolated: Collection[int]
) -> bool:
    """Each plane is judged alone: one wrong slice among sixty would vanish in a median over all."""
    difference = np.abs(np.maximum(found, LOWEST_HU) - needed)
    return all(
        _plane_fits(*plane, INTERPOLATED_MEDIAN_HU if z in interpolated else MEDIAN_HU)
        for z, plane in enumerate(zip(difference, needed, span, strict=True))
    )


def _plane_fits(difference: NDArray[Any], needed: NDArray[Any], span: NDArray[Any], median_hu: float) -> bool:
    smooth = span <= EDGE_HU  # NaN, outside of what is compared, is not smooth
    body = smooth & (needed > BODY_HU)
    if body.sum() < FEWEST_VOXELS:
        return True
    return bool(np.median(difference[body]) <= median_hu and np.percentile(difference[smooth], 99) <= WORST_HU)


def _body_axis(affine: NDArray[np.float64]) -> int:
    """The axis of the array that runs most along the body."""
    return int(np.abs(affine[2, :3] / np.linalg.norm(affine[:3, :3], axis=0)).argmax())


def _looked_up(
    values: NDArray[Any], affine: NDArray[np.float64], shape: tuple[int, ...], other_affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The values at the places of another grid's voxels, linear between their own; NaN outside."""
    to_values = np.linalg.inv(affine) @ other_affine
    places = to_values[:3, :3] @ np.indices(shape).reshape(3, -1) + to_values[:3, 3:]
    places = places.round(6)  # on a voxel is on it
    sides = np.array(values.shape)[:, None]
    inside = ((places >= -EXTENT_VOXELS) & (places <= sides - 1 + EXTENT_VOXELS)).all(axis=0)
    near = ndimage.map_coordinates(values.astype(float), np.clip(places, 0, sides - 1), order=1)
    looked_up: NDArray[np.float64] = np.where(inside, near, np.nan).reshape(shape)
    return looked_up


def _span(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Highest minus lowest among each voxel's neighbours."""
    span: NDArray[np.float32] = ndimage.maximum_filter(hu, size=3) - ndimage.minimum_filter(hu, size=3)
    return span
