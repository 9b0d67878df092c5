"""The heart: ventricles on either side of a septum that strain flattens, atria, outflow tract, fat around them.

The septum is the surface `u = offset (1 - rho^2)` in a frame whose w axis runs to the apex, u from the left to the
right ventricle, v across both; rho is the distance from the middle of the septum in units of its size. The left
ventricle lies below it, the right one above it under a dome. A negative offset bows the septum into the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.anatomy import Nuisance, StrainSigns
from pefuse.cohort.simulate.canvas import Box, Canvas, Point
from pefuse.cohort.simulate.thorax import FAT_HU

__all__ = [
    "LEFT_VENTRICLE",
    "PIVOT",
    "RIGHT_ATRIUM",
    "RIGHT_VENTRICLE",
    "TRUNK",
    "Heart",
    "heart_point",
    "lay_heart",
    "paint_heart",
]

FloatArray = NDArray[np.float32]

RIGHT_VENTRICLE, LEFT_VENTRICLE, TRUNK, RIGHT_ATRIUM = 1, 2, 3, 6

PIVOT: Point = (8.0, -8.0, -62.0)  # the heart grows and turns about this point
SEPTUM_CENTRE: Point = (27.0, -28.0, -84.0)
FREE_WALL_MM = 33.0  # from the septum's plane to the left ventricle's free wall
LEFT_HALF_HEIGHT_MM, LEFT_HALF_LENGTH_MM = 25.0, 49.0
RIGHT_HALF_HEIGHT_MM, RIGHT_HALF_LENGTH_MM = 34.0, 47.0
SEPTUM_MM, LEFT_WALL_MM, RIGHT_WALL_MM, FAT_MM = 9.0, 10.0, 3.5, 7.0
VALVE_MM = -26.0  # w of the plane between ventricles and atria


@dataclass(frozen=True, kw_only=True)
class Heart:
    """The heart's frame and sizes, mm of the reference person."""

    centre: Point
    axes: NDArray[np.float32]  # (3, 3), rows u, v, w
    scale: float
    septum_offset_mm: float
    right_dome_mm: float  # height of the right ventricle's dome above the septum's plane
    right_factor: float
    atrium_mm: float


def lay_heart(signs: StrainSigns, nuisance: Nuisance) -> Heart:
    """Sizes from the signs, place from the nuisance."""
    left_width = FREE_WALL_MM + signs.septum_offset_mm
    return Heart(
        centre=heart_point(SEPTUM_CENTRE, nuisance),
        axes=_axes(math.radians(nuisance.heart_turn_deg)),
        scale=nuisance.heart_scale,
        septum_offset_mm=signs.septum_offset_mm,
        right_dome_mm=signs.septum_offset_mm + SEPTUM_MM + signs.rv_lv_ratio * left_width,
        right_factor=signs.rv_length_factor,
        atrium_mm=signs.right_atrium_radius_mm,
    )


def heart_point(point: Point, nuisance: Nuisance) -> Point:
    """Where a point of the reference heart lies: scaled and turned about the pivot, moved by breath."""
    angle = math.radians(nuisance.heart_turn_deg)
    x, y, z = ((a - b) * nuisance.heart_scale for a, b in zip(point, PIVOT, strict=True))
    turned = (math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y)
    return PIVOT[0] + turned[0], PIVOT[1] + turned[1], PIVOT[2] + z + 0.4 * nuisance.breath_mm


def paint_heart(canvas: Canvas, heart: Heart, nuisance: Nuisance) -> None:
    """Fat, then muscle, then the blood in the chambers, with the labels of both ventricles."""
    right_hu = 0.96 * nuisance.trunk_hu
    left_hu = max(nuisance.left_fraction * nuisance.trunk_hu, nuisance.venous_hu)
    muscle_hu = 70.0 + 0.15 * left_hu
    _paint_atria(canvas, heart, nuisance, grow_mm=FAT_MM, hu=(FAT_HU, FAT_HU))
    reach = 85.0 * heart.scale
    box = canvas.box(*_around(heart.centre, reach))
    if box is None:
        return
    left, right = _ventricles_mm(canvas, box, heart)
    both = np.minimum(left - np.float32(LEFT_WALL_MM), right - np.float32(RIGHT_WALL_MM))
    canvas.blend(box, canvas.coverage(both - np.float32(FAT_MM)), FAT_HU)
    canvas.blend(box, canvas.coverage(both), muscle_hu)
    _paint_atria(canvas, heart, nuisance, grow_mm=2.0, hu=(muscle_hu, muscle_hu))
    _paint_atria(canvas, heart, nuisance, grow_mm=0.0, hu=(0.92 * right_hu, left_hu), label=RIGHT_ATRIUM)
    canvas.blend(box, canvas.coverage(left), left_hu, label=LEFT_VENTRICLE)
    canvas.blend(box, canvas.coverage(right), right_hu, label=RIGHT_VENTRICLE)


def _axes(turn_rad: float) -> NDArray[np.float32]:
    apex = np.array([0.66, -0.60, -0.46])
    apex /= np.linalg.norm(apex)
    normal = np.array([-0.68, -0.72, -0.16])
    normal -= (normal @ apex) * apex
    normal /= np.linalg.norm(normal)
    cosine, sine = math.cos(turn_rad), math.sin(turn_rad)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    rows: NDArray[np.float32] = (np.stack([normal, np.cross(apex, normal), apex]) @ turn.T).astype(np.float32)
    return rows


def _ventricles_mm(canvas: Canvas, box: Box, heart: Heart) -> tuple[FloatArray, FloatArray]:
    """Signed distances to the blood of the left and the right ventricle."""
    x, y, z = canvas.local(box, heart.centre)
    u, v, w = (((x * axis[0] + y * axis[1])[None] + z * axis[2]) / np.float32(heart.scale) for axis in heart.axes)
    septum = (v / np.float32(LEFT_HALF_HEIGHT_MM)) ** 2 + (w / np.float32(LEFT_HALF_LENGTH_MM)) ** 2
    surface = np.float32(heart.septum_offset_mm) * (1.0 - np.minimum(septum, 1.6))
    below = (np.sqrt((u / np.float32(FREE_WALL_MM)) ** 2 + septum) - 1.0) * np.float32(32.0)
    side = (np.sqrt(septum) - 1.0) * np.float32(32.0)
    left = np.where(u < 0.0, below, side)
    np.maximum(left, u - surface, out=left)
    np.maximum(left, VALVE_MM - w, out=left)
    high, long = RIGHT_HALF_HEIGHT_MM * heart.right_factor, RIGHT_HALF_LENGTH_MM * heart.right_factor
    dome = ((v - 2.0) / np.float32(high)) ** 2 + ((w + 4.0) / np.float32(long)) ** 2
    right = (np.sqrt((u / np.float32(heart.right_dome_mm)) ** 2 + dome) - 1.0) * np.float32(38.0)
    np.maximum(right, surface + np.float32(SEPTUM_MM) - u, out=right)
    np.maximum(right, VALVE_MM - 4.0 - w, out=right)
    scale = np.float32(heart.scale)
    return left * scale, right * scale


def _paint_atria(
    canvas: Canvas, heart: Heart, nuisance: Nuisance, *, grow_mm: float, hu: tuple[float, float], label: int = 0
) -> None:
    """Right and left atrium with their appendages, in that order of `hu`; `label` is the right one's."""
    radius, scale = heart.atrium_mm, heart.scale
    right = heart_point((-34.0 - 0.4 * (radius - 25.0), -18.0, -72.0), nuisance)
    radii = (radius * 0.96 * scale, radius * scale, radius * 1.3 * scale)
    canvas.ellipsoid(right, radii, hu[0], grow_mm=grow_mm, label=label)
    canvas.ellipsoid(
        heart_point((-26.0, -42.0, -50.0), nuisance), (14.0, 14.0, 15.0), hu[0], grow_mm=grow_mm, label=label
    )
    left = heart_point((8.0, 20.0, -56.0), nuisance)
    canvas.ellipsoid(left, (33.0 * scale, 19.0 * scale, 25.0 * scale), hu[1], grow_mm=grow_mm, label=0)
    canvas.ellipsoid(
        heart_point((42.0, -12.0, -44.0), nuisance), (10.0, 17.0, 12.0), hu[1], grow_mm=grow_mm, label=0
    )


def _around(centre: Point, reach: float) -> tuple[Point, Point]:
    x, y, z = centre
    return (x - reach, y - reach, z - reach), (x + reach, y + reach, z + reach)
