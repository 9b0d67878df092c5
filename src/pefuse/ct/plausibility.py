"""Whether a regular volume can be a CT of the chest in Hounsfield units: every threshold, with its reason.

The thresholds tell wrong scales and other parts of the body from chests; they do not judge image quality.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pefuse.errors import PlausibilityError, SeriesError
from pefuse.types import Volume

__all__ = [
    "AIR_TISSUE_BORDER_HU",
    "MAX_SLICE_SPACING_MM",
    "ChestCheck",
    "check_chest",
    "check_extent",
    "check_pixels",
    "check_slice_count",
    "enclosed_air",
]

MIN_COVERAGE_MM = 150.0  # from the aortic arch to the heart's lower face in an adult
MIN_SLICES = 16  # 150 mm at the coarsest spacing that still shows the heart's chambers
MAX_SLICE_SPACING_MM = 10.0  # coarser, the septum falls between slices
FIELD_OF_VIEW_MM = (180.0, 1000.0)  # heart and both hila at least; no gantry is wider than 1 m
MAX_COVERAGE_MM = 2500.0  # nobody is longer
AIR_PEAK_HU = (-1024.0, -650.0)  # air around the patient, or lung in deep or shallow breath
TISSUE_PEAK_HU = (-150.0, 150.0)  # fat to muscle and blood
DARKEST_HU = -900.0  # room air, or that in trachea and lungs: one voxel in 200 of what is air at all is darker
FILLING_HU = -1020.0  # at and below it lies what scanners fill up with, not air
BODY_HU = (-300.0, 1500.0)  # without air and metal: its median is fat's to muscle's
BODY_MEDIAN_HU = (-130.0, 110.0)  # a slope of 1.2 or an intercept 200 HU too high put it at 136
AIR_TISSUE_BORDER_HU = -500.0  # half-way: what is below is counted as air or lung
METAL_HU = 1500.0  # above it nothing of the body's soft tissue is counted
MIN_SHARE = 0.01  # of the volume that each of the two peaks' ranges must hold
MAX_LUNG_LITRES = 14.0  # of the largest athletes 11; pixels twice too wide make four times the volume
MAX_PIXEL_RATIO = 1.25  # scanners reconstruct square pixels; what is resampled may be a little off
CUT_LUNG_SHARE = 0.6  # of the lungs' largest area, in the first or last plane: much of them is not in the scan
MIN_LUNG_LITRES = 0.4  # of air inside the body; one collapsed lung leaves over 1, a head has under 0.2
CONTRAST_HU = 130.0  # blood without contrast has 30 to 60; in a CTPA the pulmonary trunk has 200 and more
# Of the soft tissue between the lungs, one bright piece: trunk and right heart alone are over a tenth of it. In
# two real chests without contrast (pyradiomics) the largest piece, of bone, is 0.045 and 0.011.
MIN_CONTRAST_SHARE = 0.08
SOFT_TISSUE_HU = -30.0  # without fat
NO_CONTRAST = "no contrast is seen in heart and great vessels"
_MIDDLE = (0.25, 0.75)  # of the lungs' box, right to left: the mediastinum; without the ribs
_FRONT = (0.1, 0.6)  # front to back: without breastbone and spine
_HISTOGRAM_STEP_HU = 20.0
_SAMPLES_A_SIDE = 72  # voxels looked at along each axis: peaks and lungs are large


def check_slice_count(places: int) -> None:
    """Refuse a series of too few slice positions.

    Raises:
        SeriesError: fewer than MIN_SLICES.
    """
    if places < MIN_SLICES:
        raise SeriesError(f"It has {places} slice positions, but a chest needs at least {MIN_SLICES}.")


def check_pixels(pixel_spacing_mm: tuple[float, float]) -> None:
    """Refuse pixels that are far from square: one of the two numbers is wrong.

    Raises:
        PlausibilityError: with their sides.
    """
    if max(pixel_spacing_mm) > MAX_PIXEL_RATIO * min(pixel_spacing_mm):
        raise PlausibilityError(
            f"Pixels are {pixel_spacing_mm[0]:.4g} x {pixel_spacing_mm[1]:.4g} mm, but those of CT are square."
        )


def check_extent(extent_mm: tuple[float, float, float], slice_spacing_mm: float) -> None:
    """Refuse a volume that is too short, too narrow or too coarse along the body; `extent_mm` is (Z, Y, X).

    Raises:
        PlausibilityError: with the length that does not fit.
    """
    coverage, *across = extent_mm
    if not MIN_COVERAGE_MM <= coverage <= MAX_COVERAGE_MM:
        raise PlausibilityError(
            f"It covers {coverage:.4g} mm along the body, but a chest needs {MIN_COVERAGE_MM:g} mm "
            f"and nobody is longer than {MAX_COVERAGE_MM:g} mm."
        )
    low, high = FIELD_OF_VIEW_MM
    if min(across) < low or max(across) > high:
        raise PlausibilityError(
            f"The field of view is {across[0]:.4g} x {across[1]:.4g} mm, but a chest's lies within "
            f"{low:g} and {high:g} mm."
        )
    if slice_spacing_mm > MAX_SLICE_SPACING_MM:
        raise PlausibilityError(
            f"Slices lie {slice_spacing_mm:.4g} mm apart, but at most {MAX_SLICE_SPACING_MM:g} mm are usable."
        )


class ChestCheck:
    """Looks at some voxels of planes as they come, then says whether they are of a chest in HU."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._voxels = math.prod(shape)
        self._steps = tuple(max(1, side // _SAMPLES_A_SIDE) for side in shape)
        sides = (len(range(step // 2, side, step)) for side, step in zip(shape, self._steps, strict=True))
        self._sample = np.full(tuple(sides), np.nan, np.float32)

    def add(self, z: int, plane: NDArray[Any]) -> None:
        """Take plane `z`, `(Y, X)` HU; most are passed over."""
        step_z, step_y, step_x = self._steps
        index, rest = divmod(z - step_z // 2, step_z)
        if rest == 0:
            self._sample[index] = plane[step_y // 2 :: step_y, step_x // 2 :: step_x]

    def finish(self, affine: NDArray[np.float64]) -> tuple[str, ...]:
        """Refuse values that are no HU of a chest: not finite, peaks out of place, no lungs.

        Returns:
            Warnings: what a person should look at.

        Raises:
            PlausibilityError: with what was found.
        """
        if not np.isfinite(self._sample).all():
            raise PlausibilityError("It holds values that are not finite numbers.")
        sample = ndimage.uniform_filter(self._sample, size=(1, 3, 3), mode="nearest")  # against noise
        _check_peak(sample[sample < AIR_TISSUE_BORDER_HU], sample.size, AIR_PEAK_HU, "air and lung")
        tissue = sample[(sample >= AIR_TISSUE_BORDER_HU) & (sample < METAL_HU)]
        _check_peak(tissue, sample.size, TISSUE_PEAK_HU, "soft tissue")
        _check_scale(self._sample)
        litres = _lung_share(sample) * self._voxels * float(abs(np.linalg.det(affine[:3, :3]))) / 1e6
        if litres < MIN_LUNG_LITRES:
            raise PlausibilityError(
                f"It holds {litres:.2f} litres of air inside a body, but lungs hold at least {MIN_LUNG_LITRES:g}: "
                "this is no chest."
            )
        if litres > MAX_LUNG_LITRES:
            raise PlausibilityError(
                f"It holds {litres:.1f} litres of air inside a body, but no lungs hold more than "
                f"{MAX_LUNG_LITRES:g}: pixels or slices are stated to be too large."
            )
        contrast = () if _shows_contrast(sample) else (NO_CONTRAST,)
        return (*contrast, *_cut_lungs(sample))


def check_chest(volume: Volume) -> tuple[str, ...]:
    """Refuse a volume whose values are no HU of a chest; what a person should look at is returned.

    Raises:
        PlausibilityError: with what was found.
    """
    check = ChestCheck(volume.hu.shape)
    for z, plane in enumerate(volume.hu):
        check.add(z, plane)
    return check.finish(volume.affine)


def _check_peak(values: NDArray[np.float32], total: int, limits: tuple[float, float], what: str) -> None:
    edges = np.arange(-1050.0, METAL_HU + _HISTOGRAM_STEP_HU, _HISTOGRAM_STEP_HU)
    counts, _ = np.histogram(values, bins=edges)
    peak = float(edges[counts.argmax()] + _HISTOGRAM_STEP_HU / 2)
    low, high = limits
    if counts.sum() < MIN_SHARE * total:
        raise PlausibilityError(f"It shows hardly any {what}: values are no HU of a chest (a wrong offset?).")
    if not low <= peak <= high:
        raise PlausibilityError(
            f"Its peak of {what} lies at {peak:g} HU, but belongs within {low:g} and {high:g} HU "
            "(a wrong rescale slope or intercept?)."
        )


def _check_scale(sample: NDArray[np.float32]) -> None:
    """Refuse values that are shifted or stretched by less than peaks show."""
    air = sample[(sample < AIR_TISSUE_BORDER_HU) & (sample > FILLING_HU)]
    darkest = float(np.percentile(air, 0.5)) if air.size else DARKEST_HU
    body = float(np.median(sample[(sample > BODY_HU[0]) & (sample < BODY_HU[1])]))
    low, high = BODY_MEDIAN_HU
    if darkest > DARKEST_HU or not low <= body <= high:
        raise PlausibilityError(
            f"Its darkest air lies at {darkest:.0f} HU and the middle of its soft tissue at {body:.0f} HU, but "
            f"they belong below {DARKEST_HU:g} and within {low:g} and {high:g} HU (a wrong slope or intercept?)."
        )


def _cut_lungs(sample: NDArray[np.float32]) -> tuple[str, ...]:
    """A warning where the lungs are as large as ever in the scan's first or last plane."""
    areas = enclosed_air(sample < AIR_TISSUE_BORDER_HU).mean(axis=(1, 2))
    ends = [
        end
        for end, area in (("lower", areas[0]), ("upper", areas[-1]))
        if area > CUT_LUNG_SHARE * float(areas.max())
    ]
    return (f"the lungs are cut off at the {' and the '.join(ends)} end of the scan",) if ends else ()


def _shows_contrast(sample: NDArray[np.float32]) -> bool:
    """Whether blood is brighter than tissue between the lungs: heart, trunk and aorta, without ribs and spine."""
    lungs = enclosed_air(sample < AIR_TISSUE_BORDER_HU)
    sides = [np.flatnonzero(lungs.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    (front, back), (right, left) = ((side[0], side[-1] + 1) for side in sides[1:])
    rows, columns = (
        slice(low + int(part[0] * (high - low)), low + math.ceil(part[1] * (high - low)))
        for low, high, part in ((front, back, _FRONT), (right, left, _MIDDLE))
    )
    between = sample[sides[0][0] : sides[0][-1] + 1, rows, columns]
    soft = int(((between > SOFT_TISSUE_HU) & (between < METAL_HU)).sum())
    bright = ndimage.binary_opening((between > CONTRAST_HU) & (between < METAL_HU), structure=np.ones((2, 3, 3)))
    pieces, _ = ndimage.label(bright)
    largest = int(np.bincount(pieces.ravel())[1:].max(initial=0))
    return largest >= MIN_CONTRAST_SHARE * max(soft, 1)


def _lung_share(sample: NDArray[np.float32]) -> float:
    """Share of the volume that is air enclosed by tissue."""
    return float(enclosed_air(sample < AIR_TISSUE_BORDER_HU).mean())


def enclosed_air(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The air `(Z, Y, X)` that tissue encloses within its slice, as it does lungs and does not the room's air."""
    in_slice = np.zeros((3, 3, 3), bool)
    in_slice[1] = ndimage.generate_binary_structure(2, 1)
    labels, _ = ndimage.label(air, structure=in_slice)
    rim = np.concatenate([labels[:, [0, -1], :].ravel(), labels[:, :, [0, -1]].ravel()])
    outside = np.zeros(int(labels.max()) + 1, bool)
    outside[rim] = True
    outside[0] = True
    enclosed: NDArray[np.bool_] = ~outside[labels]
    return enclosed
