"""Where slices lie in the patient, and whether together they make one regular volume.

Only ImagePositionPatient and ImageOrientationPatient count (PS3.3 C.7.6.2); InstanceNumber says nothing on space.
What does not fit is refused: a stack with a gap or a tilt looks like a chest and is a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.ct.headers import SliceHeader
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
MAX_SIDEWAYS_MM = 0.5  # a slice beside the line through the others: the table moved


@dataclass(frozen=True, kw_only=True)
class SliceStack:
    """Slices in order along their normal; `affine` takes the index (slice, row, column, 1) to LPS mm."""

    headers: tuple[SliceHeader, ...]
    affine: Array

    @property
    def spacing_mm(self) -> float:
        return float(np.linalg.norm(self.affine[:3, 0]))

    @property
    def coverage_mm(self) -> float:
        """From the outer face of the first slice to that of the last."""
        return self.spacing_mm * len(self.headers)


def stack_slices(headers: Sequence[SliceHeader]) -> SliceStack:
    """Order slices of one orientation, size and pixel spacing, each at its own place, into a regular stack.

    Raises:
        GeometryError: with every reason why they are no regular stack.
    """
    row_direction, column_direction, normal = mean_orientation(headers)
    along = positions_along_normal(headers, normal)
    ordered = [headers[i] for i in np.argsort(along, kind="stable")]
    positions = np.array([header.position_mm for header in ordered])
    step = (positions[-1] - positions[0]) / max(len(ordered) - 1, 1)
    row_mm, column_mm = _pixel_spacing(ordered)
    problems = [*_gaps(np.sort(along)), *_tilt(ordered, positions, step, normal)]
    if problems:
        raise GeometryError(" ".join(problems))
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = column_direction * row_mm  # a row further down: along the column's direction
    affine[:3, 2] = row_direction * column_mm
    affine[:3, 3] = positions[0]
    return SliceStack(headers=tuple(ordered), affine=affine)


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


def _gaps(along: Array) -> list[str]:
    """What is wrong with the distances between neighbours; `along` is sorted."""
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    low, high = SLICE_SPACING_RANGE_MM
    if not low <= usual <= high:
        return [f"Slices lie {usual:g} mm apart, but a CT's lie within {low:g} and {high:g} mm."]
    index = np.arange(len(along))
    residual = along - np.polyval(np.polyfit(index, along, 1), index)
    if np.abs(residual).max() <= max(REGULAR_SHARE * usual, REGULAR_MM):
        return []
    holes = gaps[gaps > 1.5 * usual] / usual
    multiples = bool(len(holes)) and float(np.abs(holes - holes.round()).max()) < 2 * REGULAR_SHARE
    hint = f" {int(holes.round().sum()) - len(holes)} slices seem to be missing." if multiples else ""
    return [
        f"Gaps between slices run from {gaps.min():.3g} to {gaps.max():.3g} mm, but a volume needs one gap.{hint}"
    ]


def _tilt(headers: Sequence[SliceHeader], positions: Array, step: Array, normal: Array) -> list[str]:
    """What is wrong with the direction in which slices are stacked."""
    cosine = abs(float(step @ normal)) / max(float(np.linalg.norm(step)), 1e-12)
    degrees = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if degrees > MAX_TILT_DEGREES:
        return [
            f"Slices are tilted by {degrees:.3g} degrees against the direction they are stacked in (gantry tilt)."
        ]
    stated = max((abs(header.gantry_tilt_degrees or 0.0) for header in headers), default=0.0)
    if stated > 1.0 and abs(float(normal[2])) > np.cos(np.radians(MAX_TILT_DEGREES)):
        return [f"A gantry tilt of {stated:.3g} degrees is stated, but slice positions do not show it."]
    direction = step / np.linalg.norm(step)
    offset = positions - positions[0]
    sideways = np.linalg.norm(offset - np.outer(offset @ direction, direction), axis=1)
    if sideways.max() > MAX_SIDEWAYS_MM:
        return [f"A slice lies {sideways.max():.3g} mm beside the line through the others."]
    return []
