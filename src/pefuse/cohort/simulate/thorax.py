"""The chest around the heart: skin, fat, muscle, ribs, spine, lungs, diaphragm, upper abdomen and the table.

Wall and ribs are bands of the distance to the thoracic cavity, so that they follow its shape without being drawn
one by one. Tables of `(z, value)` below are the cavity's and the body's profile from the abdomen to the neck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.anatomy import Nuisance
from pefuse.cohort.simulate.canvas import Box, Canvas, Point

__all__ = [
    "AIR_HU",
    "FAT_HU",
    "Chest",
    "cavity_depth_mm",
    "measure_chest",
    "paint_abdomen",
    "paint_bones",
    "paint_lungs",
    "paint_mark",
    "paint_table",
    "paint_wall",
]

FloatArray = NDArray[np.float32]

AIR_HU = -1000.0
FAT_HU = -100.0
SKIN_HU = 30.0
CARTILAGE_HU = 110.0
MARROW_HU = 190.0

HEIGHTS_MM = (-260.0, -200.0, -140.0, -90.0, -40.0, 0.0, 30.0, 60.0, 85.0, 105.0, 140.0)
CAVITY_HALF_WIDTH_MM = (120.0, 127.0, 131.0, 130.0, 124.0, 114.0, 101.0, 82.0, 62.0, 44.0, 34.0)
CAVITY_HALF_DEPTH_MM = (90.0, 96.0, 98.0, 96.0, 90.0, 83.0, 75.0, 64.0, 52.0, 42.0, 36.0)
CAVITY_MIDDLE_MM = (-6.0, -5.0, -4.0, -3.0, 0.0, 6.0, 12.0, 20.0, 28.0, 33.0, 34.0)
BODY_HALF_WIDTH_MM = (146.0, 150.0, 153.0, 154.0, 155.0, 158.0, 164.0, 174.0, 182.0, 180.0, 150.0)
BODY_HALF_DEPTH_MM = (108.0, 114.0, 117.0, 117.0, 115.0, 112.0, 108.0, 102.0, 96.0, 88.0, 80.0)
BODY_MIDDLE_MM = (8.0, 7.0, 6.0, 6.0, 8.0, 11.0, 15.0, 20.0, 25.0, 30.0, 34.0)
SPINE_FRONT_MM = (30.0, 38.0, 44.0, 47.0, 48.0, 46.0, 43.0, 39.0, 35.0, 31.0, 26.0)  # y of the vertebrae's front

RIB_SPACING_MM = 23.0
RIB_DROP_MM = 78.0  # how much lower a rib ends in front than it starts behind
FIRST_RIB_MM = 92.0

RAIL_RADIUS_MM = 12.0
RAIL_HU = 1200.0


@dataclass(frozen=True, kw_only=True)
class Chest:
    """Fields that the tissues of one canvas share."""

    cavity_mm: FloatArray  # (Z, Y, X), signed distance to the inner surface of the ribs
    skin_mm: FloatArray  # (Z, Y, X), signed distance to the skin
    diaphragm_mm: FloatArray  # (Y, X), height of its dome
    angle_rad: FloatArray  # (Y, X), 0 behind, pi in front, from the cavity's middle
    spine_front_mm: FloatArray  # (Z, 1, 1)


def measure_chest(canvas: Canvas, nuisance: Nuisance) -> Chest:
    """The fields for one canvas."""
    width, depth = nuisance.chest_width, nuisance.chest_depth
    fat = nuisance.fat_mm
    cavity = _squircle_mm(
        canvas,
        _profile(canvas, CAVITY_HALF_WIDTH_MM) * width,
        _profile(canvas, CAVITY_HALF_DEPTH_MM) * depth,
        _profile(canvas, CAVITY_MIDDLE_MM) * depth,
        square=0.36,
    )
    skin = _squircle_mm(
        canvas,
        (_profile(canvas, BODY_HALF_WIDTH_MM) + np.float32(0.75 * fat - 12.0)) * width,
        (_profile(canvas, BODY_HALF_DEPTH_MM) + np.float32(0.8 * fat - 10.0)) * depth,
        _profile(canvas, BODY_MIDDLE_MM) * depth,
        square=0.45,
    )
    return Chest(
        cavity_mm=cavity,
        skin_mm=skin,
        diaphragm_mm=_diaphragm_mm(canvas, nuisance),
        angle_rad=(np.pi - np.arctan2(np.abs(canvas.x), -canvas.y)).astype(np.float32),
        spine_front_mm=_spine_front(canvas, nuisance),
    )


def cavity_depth_mm(points: NDArray[np.float64], nuisance: Nuisance) -> NDArray[np.float64]:
    """How deep points `(N, 3)` (x, y, z) lie within the air-filled chest, mm; negative outside of it."""
    x, y, z = points.T
    half_width = np.interp(z, HEIGHTS_MM, CAVITY_HALF_WIDTH_MM) * nuisance.chest_width
    half_depth = np.interp(z, HEIGHTS_MM, CAVITY_HALF_DEPTH_MM) * nuisance.chest_depth
    middle = np.interp(z, HEIGHTS_MM, CAVITY_MIDDLE_MM) * nuisance.chest_depth
    across, deep = (x / half_width) ** 2, ((y - middle) / half_depth) ** 2
    wall = (1.0 - np.sqrt(np.maximum(across + deep - 0.36 * across * deep, 0.0))) * np.minimum(
        half_width, half_depth
    )
    above = (z - _dome_mm(x, y, nuisance)) * 0.7
    below_apex = _apex_mm(x, y) - z
    depth: NDArray[np.float64] = np.minimum(np.minimum(wall, above), below_apex)
    return depth


def paint_wall(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    """Skin, fat under it, muscle on the ribs; breasts where there are any."""
    everywhere = _everything(canvas)
    if nuisance.female:
        for side in (-1.0, 1.0):
            centre = (side * 72.0, -100.0 * nuisance.chest_depth - 0.6 * nuisance.fat_mm, -55.0)
            canvas.ellipsoid(centre, (56.0, 34.0, 56.0), FAT_HU, turn_rad=-side * 0.25)
            glands = (side * 74.0, centre[1] - 6.0, -60.0)
            canvas.ellipsoid(glands, (28.0, 17.0, 28.0), -10.0, turn_rad=-side * 0.25)
    canvas.blend(everywhere, canvas.coverage(chest.skin_mm.copy()), SKIN_HU)
    canvas.blend(everywhere, canvas.coverage(chest.skin_mm + np.float32(2.5)), FAT_HU)
    upper = np.clip((canvas.z - 0.0) / 70.0, 0.0, 1.0)
    behind = np.clip((canvas.y - 40.0) / 60.0, 0.0, 1.0) ** 2
    thick = 14.0 + 10.0 * behind[None] + 60.0 * upper
    muscle = np.maximum(
        chest.cavity_mm - thick.astype(np.float32), chest.skin_mm + np.float32(0.55 * nuisance.fat_mm + 3.0)
    )
    canvas.blend(everywhere, canvas.coverage(muscle.copy()), nuisance.muscle_hu)
    plane = np.abs(chest.cavity_mm - np.float32(14.0)) - np.float32(1.3)  # between the ribs and the outer muscles
    canvas.blend(everywhere, 0.8 * canvas.coverage(np.maximum(plane, muscle)), FAT_HU)
    _paint_fat_planes(canvas)
    _paint_back_muscles(canvas, nuisance)


def paint_lungs(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    """Both lungs: fat fills the cavity, air fills it above the diaphragm and beside the mediastinum."""
    everywhere = _everything(canvas)
    canvas.blend(everywhere, canvas.coverage(chest.cavity_mm.copy()), FAT_HU)
    apex = canvas.z - _apex_mm(canvas.x, canvas.y)[None]
    above = (chest.diaphragm_mm[None] - canvas.z) * np.float32(0.7)
    lung = np.maximum(np.maximum(chest.cavity_mm + np.float32(1.5), apex), above)
    np.maximum(lung, _mediastinum_mm(canvas, chest), out=lung)
    # The lower, hindmost lung holds more blood and less air.
    hu = nuisance.lung_hu + 0.22 * canvas.y + 1.0 * nuisance.breath_mm
    canvas.blend(everywhere, canvas.coverage(lung), hu[None].astype(np.float32))


def paint_abdomen(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    """Diaphragm, liver, spleen, stomach with its bubble, and the kidneys' upper poles."""
    box = canvas.box((-140.0, -120.0, -400.0), (140.0, 110.0, -70.0))
    if box is None:
        return
    x, y, z = canvas.local(box, (0.0, 0.0, 0.0))
    below = (z - chest.diaphragm_mm[box[1:]][None]) * np.float32(0.7)
    cavity = chest.cavity_mm[box]
    diaphragm = np.maximum(np.maximum(below, -below - np.float32(3.0)), cavity)
    canvas.blend(box, canvas.coverage(diaphragm), nuisance.muscle_hu)
    down = nuisance.breath_mm
    canvas.ellipsoid((92.0, 38.0, -165.0 + down), (26.0, 40.0, 42.0), nuisance.liver_hu + 35.0, turn_rad=0.3)
    canvas.ellipsoid((58.0, -22.0, -165.0 + down), (44.0, 44.0, 42.0), 45.0)
    canvas.ellipsoid((58.0, -22.0, -165.0 + down), (40.0, 40.0, 38.0), 18.0)
    canvas.ellipsoid((56.0, -48.0, -152.0 + down), (24.0, 12.0, 18.0), -900.0)
    for side in (-1.0, 1.0):
        canvas.ellipsoid((side * 58.0, 52.0, -248.0 + down), (26.0, 22.0, 44.0), 110.0)
    edge = 8.0 - 0.55 * y + 0.0012 * np.minimum(y, 0.0) ** 2
    to_left = (x - edge)[None] * np.float32(0.8) - 0.35 * (z + np.float32(150.0))
    liver = np.maximum(np.maximum(below + np.float32(3.0), cavity + np.float32(3.0)), to_left)
    np.maximum(liver, -250.0 + down - z, out=liver)
    canvas.blend(box, canvas.coverage(liver), nuisance.liver_hu)


def paint_bones(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    """Ribs with their cartilage, shoulder blades, sternum, collar bones and spine."""
    _paint_ribs(canvas, chest, nuisance)
    _paint_shoulder_blades(canvas, chest, nuisance)
    _paint_sternum(canvas, nuisance)
    _paint_spine(canvas, nuisance)


def paint_table(canvas: Canvas, nuisance: Nuisance, *, other: bool = False) -> None:
    """The table top under the back: a shallow trough of foam in a thin shell; `other` is a flat, thick one."""
    grid = canvas.grid
    top = canvas.pose.shift_mm[1] + canvas.pose.scale * _back_mm(nuisance) + 4.0
    x, y = grid.axis_mm(2)[None, :], grid.axis_mm(1)[:, None]
    if other:
        distance = np.maximum(np.abs(x) - 225.0, np.abs(y - (top + 14.0)) - 14.0)
    else:
        middle = top + 10.0 - (x / 210.0) ** 2 * 22.0
        distance = np.maximum(np.abs(x) - 205.0, np.abs(y - middle) - 9.0)
    flat = distance.astype(np.float32) / np.float32(canvas.pose.scale)
    air = canvas.hu < -700.0  # the table never covers the body
    for inset, hu in ((0.0, -250.0), (3.0, -920.0)):
        share = canvas.coverage(flat + np.float32(inset))
        canvas.blend(_everything(canvas), np.where(air, share[None], np.float32(0.0)), hu)


def paint_mark(canvas: Canvas, nuisance: Nuisance) -> None:
    """The shortcut: a metal rail along the right front edge of the chest. It means nothing.

    It lies outside the body but inside the box around the lungs, whose corners the round chest leaves free: what
    sees no more than that box sees it too.
    """
    x = canvas.x + np.float32(max(CAVITY_HALF_WIDTH_MM) * nuisance.chest_width)
    y = canvas.y + np.float32((max(CAVITY_HALF_DEPTH_MM) - CAVITY_MIDDLE_MM[2]) * nuisance.chest_depth)
    share = canvas.coverage((np.hypot(x, y) - np.float32(RAIL_RADIUS_MM)).astype(np.float32))
    air = canvas.hu < -500.0
    canvas.blend(_everything(canvas), np.where(air, share[None], np.float32(0.0)), RAIL_HU)


def _profile(canvas: Canvas, values: tuple[float, ...]) -> FloatArray:
    return np.interp(canvas.z, HEIGHTS_MM, values).astype(np.float32)


def _squircle_mm(
    canvas: Canvas, half_width: FloatArray, half_depth: FloatArray, middle: FloatArray, *, square: float
) -> FloatArray:
    """Signed distance to stacked rounded rectangles, right near them; `square` 0 is an ellipse, 1 a rectangle."""
    across = (canvas.x[None] / half_width) ** 2
    deep = (canvas.y[None] - middle) / half_depth
    deep *= deep
    # Far out in the corners the product would outgrow the sum and close the shape again.
    across_deep = np.minimum(across * deep, np.float32(1.0))
    across += deep
    across -= np.float32(square) * across_deep
    np.sqrt(np.maximum(across, 0.0, out=across), out=across)
    across -= np.float32(1.0)
    across *= np.minimum(half_width, half_depth)
    return across


def _spine_front(canvas: Canvas, nuisance: Nuisance) -> FloatArray:
    front = np.interp(canvas.z, HEIGHTS_MM, SPINE_FRONT_MM) * nuisance.chest_depth
    bend = nuisance.kyphosis_mm * (np.exp(-(((canvas.z - 10.0) / 80.0) ** 2)) - 0.5)
    spine: FloatArray = (front + bend).astype(np.float32)
    return spine


def _spine_point(z: float, nuisance: Nuisance) -> float:
    front = float(np.interp(z, HEIGHTS_MM, SPINE_FRONT_MM)) * nuisance.chest_depth
    return front + nuisance.kyphosis_mm * (math.exp(-(((z - 10.0) / 80.0) ** 2)) - 0.5)


def _back_mm(nuisance: Nuisance) -> float:
    """y of the skin of the back where it lies on the table."""
    return (6.0 + 117.0 + 0.8 * nuisance.fat_mm - 10.0) * nuisance.chest_depth


def _dome_mm(x: NDArray[np.float64], y: NDArray[np.float64], nuisance: Nuisance) -> NDArray[np.float64]:
    right = -98.0 - (x + 56.0) ** 2 / 85.0 - (y + 10.0) ** 2 / 100.0
    left = -112.0 - (x - 62.0) ** 2 / 75.0 - (y + 5.0) ** 2 / 100.0
    centre = -122.0 - (x - 14.0) ** 2 / 150.0 - (y + 30.0) ** 2 / 130.0
    return np.maximum(np.maximum(right, left), centre) + nuisance.breath_mm


def _diaphragm_mm(canvas: Canvas, nuisance: Nuisance) -> FloatArray:
    return _dome_mm(canvas.x.astype(np.float64), canvas.y.astype(np.float64), nuisance).astype(np.float32)


def _apex_mm(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(98.0 - (np.abs(x) - 44.0) ** 2 / 45.0 - (y - 24.0) ** 2 / 60.0, dtype=x.dtype)


def _mediastinum_mm(canvas: Canvas, chest: Chest) -> FloatArray:
    """Distance into the mediastinum, negative in the lungs: a sheet, wide in the middle and at the spine."""
    wide = np.interp(canvas.z, (-130.0, -60.0, 0.0, 40.0, 100.0), (20.0, 22.0, 26.0, 28.0, 30.0)).astype(
        np.float32
    )
    middle = np.exp(-(((canvas.y - 10.0) / 42.0) ** 2)).astype(np.float32)
    half = np.float32(5.0) + wide * middle[None]
    beside_spine = np.float32(24.0) * np.clip((canvas.y[None] - chest.spine_front_mm + 12.0) / 14.0, 0.0, 1.0)
    half = np.maximum(half, beside_spine)
    off = canvas.x - np.float32(4.0) * np.exp(-(((canvas.y + 90.0) / 50.0) ** 2)).astype(np.float32)
    mediastinum: FloatArray = half - np.abs(off)[None]
    return mediastinum


def _everything(canvas: Canvas) -> Box:
    depth, rows, columns = canvas.grid.shape
    return slice(0, depth), slice(0, rows), slice(0, columns)


def _paint_fat_planes(canvas: Canvas) -> None:
    for side in (-1.0, 1.0):
        canvas.ellipsoid((side * 128.0, 12.0, 55.0), (22.0, 30.0, 45.0), FAT_HU)
        canvas.ellipsoid((side * 62.0, -38.0, 92.0), (26.0, 12.0, 18.0), FAT_HU)


def _paint_back_muscles(canvas: Canvas, nuisance: Nuisance) -> None:
    for side in (-1.0, 1.0):
        for z in (-230.0, -150.0, -70.0, 10.0, 90.0):
            y = _spine_point(z, nuisance) + 48.0
            canvas.ellipsoid((side * 27.0, y, z), (22.0, 16.0, 60.0), nuisance.muscle_hu)


def _paint_ribs(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    layer, row, column = np.nonzero((chest.cavity_mm > -2.0) & (chest.cavity_mm < 12.0) & (canvas.z < 110.0))
    angle = chest.angle_rad[row, column]
    z = canvas.z[layer, 0, 0]
    depth = chest.cavity_mm[layer, row, column]
    order = (FIRST_RIB_MM - z - RIB_DROP_MM * 0.5 * (1.0 - np.cos(angle))) / RIB_SPACING_MM
    rib = np.round(order)
    across = (order - rib) * np.float32(RIB_SPACING_MM)
    distance = (np.hypot((depth - 5.0) / 4.2, across / 5.6) - 1.0) * np.float32(5.0)
    exists = (rib >= 0) & (rib <= 11)
    in_front = angle > 2.5  # cartilage; from the eighth rib down it has left for the costal arch
    exists &= ~((rib >= 7) & (angle > 2.75)) & ~((rib >= 10) & (angle > 1.5)) & (angle < 3.02)
    share = canvas.coverage(np.where(exists, distance, np.float32(50.0)).astype(np.float32))
    core = np.clip(-distance / 3.0, 0.0, 1.0)
    bone = nuisance.bone_hu + 80.0 - core * (nuisance.bone_hu - MARROW_HU)
    hu = np.where(in_front, CARTILAGE_HU, bone).astype(np.float32)
    old = canvas.hu[layer, row, column]
    canvas.hu[layer, row, column] = old + share * (hu - old)


def _paint_shoulder_blades(canvas: Canvas, chest: Chest, nuisance: Nuisance) -> None:
    box = canvas.box((-150.0, 20.0, -60.0), (150.0, 125.0, 105.0))
    if box is None:
        return
    x, y, z = canvas.local(box, (0.0, 0.0, 0.0))
    sideways = np.abs(x)
    inner = 62.0 + 0.12 * z  # edge towards the spine
    outer = np.minimum(100.0 + 0.25 * (z + 40.0), 135.0)
    sheet = np.abs(chest.cavity_mm[box] - np.float32(19.0) - 0.12 * np.maximum(z, 0.0)) - np.float32(2.4)
    inside = np.maximum(np.maximum(inner - sideways[None], sideways[None] - outer), -z - 55.0)
    blade = np.maximum(np.maximum(sheet, inside), 30.0 - y[None]).astype(np.float32)
    canvas.blend(box, canvas.coverage(blade), nuisance.bone_hu)
    for side in (-1.0, 1.0):
        canvas.tube([(side * 70.0, 88.0, 62.0), (side * 125.0, 62.0, 88.0)], [4.0, 8.0], nuisance.bone_hu)
        canvas.ellipsoid((side * 150.0, 34.0, 104.0), (20.0, 22.0, 22.0), MARROW_HU + 40.0)


def _paint_sternum(canvas: Canvas, nuisance: Nuisance) -> None:
    depth = nuisance.chest_depth
    box = canvas.box((-30.0, -120.0, -112.0), (30.0, -30.0, 52.0))
    if box is not None:
        x, y, z = canvas.local(box, (0.0, 0.0, 0.0))
        front = np.interp(z, HEIGHTS_MM, np.subtract(CAVITY_MIDDLE_MM, CAVITY_HALF_DEPTH_MM)) - 5.0
        half_width = np.interp(z, (-112.0, -95.0, 10.0, 48.0), (5.0, 18.0, 15.0, 27.0))
        beside = np.maximum(np.abs(x)[None] - (half_width - 5.0), 0.0)
        bone = np.hypot(beside, y[None] - front * depth) - 6.0
        bone = np.maximum(bone, np.maximum(z - 48.0, -108.0 - z)).astype(np.float32)
        canvas.blend(box, canvas.coverage(bone.copy()), nuisance.bone_hu)
        canvas.blend(box, canvas.coverage(bone + np.float32(2.5)), MARROW_HU - 30.0)
    for side in (-1.0, 1.0):
        collar: list[Point] = [
            (side * 24.0, -46.0 * depth, 58.0),
            (side * 62.0, -34.0 * depth, 78.0),
            (side * 112.0, 2.0, 96.0),
        ]
        canvas.tube(collar, [8.0, 6.5, 6.0], nuisance.bone_hu)


def _paint_spine(canvas: Canvas, nuisance: Nuisance) -> None:
    """A vertebra every 24 mm: cortical shell, marrow, disc, arch around the canal, processes."""
    for index in range(-12, 6):
        z = index * 24.0
        front = _spine_point(z, nuisance)
        wide = float(np.interp(z, (-260.0, 0.0, 100.0), (21.0, 17.0, 14.0)))
        deep = wide * 0.85
        body: Point = (0.0, front + deep, z)
        disc: Point = (0.0, front + deep, z + 12.0)
        canvas.ellipsoid(disc, (wide - 1.0, deep - 1.0, 12.0), 80.0)
        _paint_drum(canvas, body, (wide, deep, 9.5), nuisance.bone_hu)
        _paint_drum(canvas, body, (wide - 2.2, deep - 2.2, 7.5), MARROW_HU - 60.0 * (nuisance.age_years > 65.0))
        canal: Point = (0.0, front + 2 * deep + 8.0, z)
        canvas.ellipsoid(canal, (14.0, 12.0, 11.0), nuisance.bone_hu)
        canvas.tube([(0.0, canal[1] + 9.0, z), (0.0, canal[1] + 32.0, z - 16.0)], [4.0, 3.2], nuisance.bone_hu)
        for side in (-1.0, 1.0):
            root: Point = (side * 11.0, canal[1] + 4.0, z)
            canvas.tube([root, (side * 31.0, canal[1] + 14.0, z + 2.0)], [5.0, 4.0], nuisance.bone_hu)
    for index in range(-12, 6):
        low, high = index * 24.0 - 12.0, index * 24.0 + 12.0
        ends = [_canal(low, nuisance), _canal(high, nuisance)]
        canvas.tube(ends, [8.5, 8.5], -20.0)
        canvas.tube(ends, [6.0, 6.0], 32.0)


def _canal(z: float, nuisance: Nuisance) -> Point:
    wide = float(np.interp(z, (-260.0, 0.0, 100.0), (21.0, 17.0, 14.0)))
    return 0.0, _spine_point(z, nuisance) + 2 * 0.85 * wide + 8.0, z


def _paint_drum(canvas: Canvas, centre: Point, radii: Point, hu: float) -> None:
    low = (centre[0] - radii[0], centre[1] - radii[1], centre[2] - radii[2])
    high = (centre[0] + radii[0], centre[1] + radii[1], centre[2] + radii[2])
    box = canvas.box(low, high)
    if box is None:
        return
    x, y, z = canvas.local(box, centre)
    side = (np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2) - 1.0) * np.float32(min(radii[:2]))
    distance = np.maximum(side[None], np.abs(z) - np.float32(radii[2]))
    canvas.blend(box, canvas.coverage(distance.astype(np.float32)), hu)
