"""Where slices lie in the patient, and whether together they make one regular volume.

Only ImagePositionPatient and ImageOrientationPatient count (PS3.3 C.7.6.2); InstanceNumber says nothing on space.
A small gap is filled and a tilt undone, by name (ct/repairs.py); what does not fit then is refused: a stack with a
gap or a tilt looks like a chest and is a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.ct.planes import Plane
from pefuse.ct.plausibility import MAX_SLICE_SPACING_MM
from pefuse.ct.repairs import Repair
from pefuse.ct.slices import SliceHeader
from pefuse.errors import GeometryError

__all__ = ["SliceStack", "mean_orientation", "positions_along_normal", "stack_slices"]

Array = NDArray[np.float64]

UNIT_TOLERANCE = 1e-3  # of direction cosines: files round them to 4 or more digits
SAME_POSITION_MM = 0.01  # closer slices are at one place; the thinnest CT slices are 0.2 mm apart
PIXEL_SPACING_RANGE_MM = (0.1, 20.0)  # clinical 0.3 to 1; simulated ones are coarse
SLICE_SPACING_RANGE_MM = (0.1, 20.0)
REGULAR_SHARE = 0.05  # of the slice spacing: how far a slice may lie from its regular place ...
REGULAR_MM = 0.06  # ... or this, since many files round positions to 0.1 mm
MAX_TILT_DEGREES = 0.2  # 1 mm over 300 mm, less than a voxel of the model's grid
STEEPEST_TILT_DEGREES = 25.0  # gantries tilt chests by less; further off it is hardly axial
STATED_TILT_TOLERANCE_DEGREES = 1.0  # files round the stated tilt to whole or half degrees
MAX_MISSING_IN_A_ROW = 2  # nor a gap wider than slices may lie apart anyway: more was not taken at all
MAX_FILLED_SHARE = 0.05  # of the planes: more would be made up
MAX_SIDEWAYS_MM = 0.5  # a slice beside the line through the others: the table moved


@dataclass(frozen=True, kw_only=True)
class SliceStack:
    """Slices in order along their normal, and the planes of the volume that they make.

    `affine` takes the index (plane, row, column, 1) to LPS mm; its axes are perpendicular. `shape` is a plane's.
    """

    headers: tuple[SliceHeader, ...]
    planes: tuple[Plane, ...]
    shape: tuple[int, int]
    affine: Array
    repairs: tuple[Repair, ...]

    @property
    def spacing_mm(self) -> float:
        return float(np.linalg.norm(self.affine[:3, 0]))

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """From the outer face of the first plane, row and column to that of the last."""
        spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
        along, down, across = spacing * (len(self.planes), *self.shape)
        return float(along), float(down), float(across)


def stack_slices(headers: Sequence[SliceHeader]) -> SliceStack:
    """Order slices of one orientation, size and pixel spacing, each at its own place, into a regular stack.

    Raises:
        GeometryError: with every reason why they are no regular stack.
    """
    row_direction, column_direction, normal = mean_orientation(headers)
    along = positions_along_normal(headers, normal)
    order = np.argsort(along, kind="stable")
    ordered, along = [headers[i] for i in order], along[order]
    positions = np.array([header.position_mm for header in ordered])
    row_mm, column_mm = _pixel_spacing(ordered)
    slots, problems = _slots(along)
    step = (positions[-1] - positions[0]) / max(slots[-1], 1)
    problems += _askew(ordered, positions, step, normal, even=not problems)
    if problems:
        raise GeometryError(" ".join(problems))
    drift = np.array([step @ column_direction / row_mm, step @ row_direction / column_mm])  # rows, columns a slice
    if _degrees(step, normal) <= MAX_TILT_DEGREES:
        drift, across = np.zeros(2), step
    else:
        across = (step @ normal) * normal
    shifts, shape, start = _upright(drift, int(slots[-1]) + 1, (ordered[0].rows, ordered[0].columns))
    affine = np.eye(4)
    affine[:3, 0] = across
    affine[:3, 1] = column_direction * row_mm  # a row further down: along the column's direction
    affine[:3, 2] = row_direction * column_mm
    affine[:3, 3] = positions[0] - affine[:3, 1:3] @ start
    return SliceStack(
        headers=tuple(ordered),
        planes=_planes(slots, shifts),
        shape=shape,
        affine=affine,
        repairs=(*_filled(slots), *_straightened(step, normal), *_averaged(ordered)),
    )


def mean_orientation(headers: Sequence[SliceHeader]) -> tuple[Array, Array, Array]:
    """Directions of a row, of a column and of their normal, each of length 1, averaged over jitter.

    Raises:
        GeometryError: a slice states none, or they are not perpendicular directions.
    """
    if any(header.orientation is None for header in headers):
        raise GeometryError("ImageOrientationPatient is missing or not six finite numbers.")
    row, column = np.array([header.orientation for header in headers]).mean(axis=0).reshape(2, 3)
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE or abs(float(row @ column)) > UNIT_TOLERANCE:
        raise GeometryError("ImageOrientationPatient is not two perpendicular directions of length 1.")
    row = row / lengths[0]
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return row, column, np.cross(row, column)


def positions_along_normal(headers: Sequence[SliceHeader], normal: Array) -> Array:
    """How far along `normal` each slice lies, in mm.

    Raises:
        GeometryError: a slice states no position.
    """
    if any(header.position_mm is None for header in headers):
        missing = sum(header.position_mm is None for header in headers)
        raise GeometryError(
            f"ImagePositionPatient is missing or not three finite numbers in {missing} of {len(headers)} slices."
        )
    along: Array = np.array([header.position_mm for header in headers]) @ normal
    return along


def _pixel_spacing(headers: Sequence[SliceHeader]) -> Array:
    if any(header.pixel_spacing_mm is None for header in headers):
        raise GeometryError("PixelSpacing is missing or not two finite numbers.")
    spacing: Array = np.array([header.pixel_spacing_mm for header in headers]).mean(axis=0)
    low, high = PIXEL_SPACING_RANGE_MM
    if spacing.min() < low or spacing.max() > high:
        raise GeometryError(
            f"PixelSpacing is {spacing[0]:g} x {spacing[1]:g} mm, but a CT's lies within {low:g} and {high:g} mm."
        )
    return spacing


def _slots(along: Array) -> tuple[NDArray[np.int64], list[str]]:
    """The place of each slice in a regular row of planes, some of them empty; or what is wrong with distances.

    `along` is sorted. Places are consecutive unless slices are missing whose gap can be filled.
    """
    consecutive = np.arange(len(along))
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    low, high = SLICE_SPACING_RANGE_MM
    if not low <= usual <= high:
        return consecutive, [f"Slices lie {usual:g} mm apart, but a CT's lie within {low:g} and {high:g} mm."]
    if _regular(along, consecutive, usual):
        return consecutive, []
    slots = np.concatenate([[0], np.cumsum(np.maximum(1, np.rint(gaps / usual)))]).astype(np.int64)
    if not _regular(along, slots, usual):
        return consecutive, [
            f"Gaps between slices run from {gaps.min():.3g} to {gaps.max():.3g} mm, but a volume needs one gap."
        ]
    missing = int(slots[-1]) + 1 - len(slots)
    small = np.diff(slots).max() <= MAX_MISSING_IN_A_ROW + 1 and gaps.max() <= MAX_SLICE_SPACING_MM
    if small and missing <= MAX_FILLED_SHARE * (slots[-1] + 1):
        return slots, []
    return consecutive, [
        f"Gaps between slices run from {gaps.min():.4g} to {gaps.max():.4g} mm, but a volume needs one gap. "
        f"{missing} {'slice seems' if missing == 1 else 'slices seem'} to be missing; filled are at most "
        f"{MAX_MISSING_IN_A_ROW} in a row, "
        f"{MAX_SLICE_SPACING_MM:g} mm and {MAX_FILLED_SHARE:.0%} of the slices."
    ]


def _regular(along: Array, slots: NDArray[np.int64], usual: float) -> bool:
    residual = along - np.polyval(np.polyfit(slots, along, 1), slots)
    return bool(np.abs(residual).max() <= max(REGULAR_SHARE * usual, REGULAR_MM))


def _askew(
    headers: Sequence[SliceHeader], positions: Array, step: Array, normal: Array, *, even: bool
) -> list[str]:
    """What is wrong with the direction in which slices are stacked; a tilt is not, if they are evenly spaced."""
    degrees = _degrees(step, normal)
    if not even:
        return [f"They are tilted by {degrees:.3g} degrees too."] if degrees > MAX_TILT_DEGREES else []
    stated = max((abs(header.gantry_tilt_degrees or 0.0) for header in headers), default=0.0)
    if degrees > STEEPEST_TILT_DEGREES:
        return [
            f"Slices are tilted by {degrees:.3g} degrees against the direction they are stacked in, "
            f"but no gantry tilts by more than {STEEPEST_TILT_DEGREES:g}."
        ]
    upright = degrees <= MAX_TILT_DEGREES
    lies_across = abs(float(normal[2])) > np.cos(np.radians(MAX_TILT_DEGREES))
    if stated > STATED_TILT_TOLERANCE_DEGREES and (
        (upright and lies_across) or (not upright and abs(degrees - stated) > STATED_TILT_TOLERANCE_DEGREES)
    ):
        return [
            f"A gantry tilt of {stated:.3g} degrees is stated, but slice positions do not show it "
            f"(they show {0 if upright else degrees:.3g})."
        ]
    sideways = np.linalg.norm(np.cross(positions - positions[0], step / np.linalg.norm(step)), axis=1)
    if sideways.max() > MAX_SIDEWAYS_MM:
        return [f"A slice lies {sideways.max():.3g} mm beside the line through the others."]
    return []


def _degrees(step: Array, normal: Array) -> float:
    cosine = abs(float(step @ normal)) / max(float(np.linalg.norm(step)), 1e-12)
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _upright(drift: Array, planes: int, size: tuple[int, int]) -> tuple[Array, tuple[int, int], Array]:
    """By how much each plane's pixels move, `(plane, 2)`, in a frame that holds all of them; its size; its start.

    `drift` is how many rows and columns each plane starts further on than the one before.
    """
    moved = np.arange(planes)[:, None] * drift
    start = -moved.min(axis=0)
    shifts = moved + start
    rows, columns = np.ceil(shifts.max(axis=0)).astype(int) + size
    return shifts, (int(rows), int(columns)), start


def _planes(slots: NDArray[np.int64], shifts: Array) -> tuple[Plane, ...]:
    """Each place's plane: its slice, or between the nearest slices below and above."""
    planes = []
    for place, (rows, columns) in enumerate(shifts):
        above = int(np.searchsorted(slots, place))
        below = above if slots[above] == place else above - 1
        reach = max(int(slots[above] - slots[below]), 1)
        share = (place - int(slots[below])) / reach
        planes.append(Plane(below=below, above=above, share=share, shift=(float(rows), float(columns))))
    return tuple(planes)


def _filled(slots: NDArray[np.int64]) -> tuple[Repair, ...]:
    total = int(slots[-1]) + 1
    missing = total - len(slots)
    return (Repair(name="missing-slices", detail=f"{missing} of {total} interpolated"),) if missing else ()


def _straightened(step: Array, normal: Array) -> tuple[Repair, ...]:
    degrees = _degrees(step, normal)
    if degrees <= MAX_TILT_DEGREES:
        return ()
    return (Repair(name="gantry-tilt", detail=f"{degrees:.3g} degrees undone by shear"),)


def _averaged(headers: Sequence[SliceHeader]) -> tuple[Repair, ...]:
    different = len({header.orientation for header in headers})
    if different == 1:
        return ()
    return (Repair(name="orientation-jitter", detail=f"{different} directions averaged"),)
