"""Vessels and airways: pulmonary arteries with their clots, aorta, veins with reflux, lung vessels, trachea."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from pefuse.cohort.simulate.anatomy import Anatomy, Clot, Nuisance, StrainSigns
from pefuse.cohort.simulate.canvas import Canvas, Point
from pefuse.cohort.simulate.heart import RIGHT_VENTRICLE, TRUNK, heart_point
from pefuse.cohort.simulate.thorax import FAT_HU

__all__ = [
    "CLOT",
    "INFERIOR_VENA_CAVA",
    "Tube",
    "paint_airways",
    "paint_aorta",
    "paint_clots",
    "paint_pulmonary_arteries",
    "paint_sleeves",
    "paint_veins",
    "pulmonary_arteries",
]

CLOT, INFERIOR_VENA_CAVA = 4, 5
SLEEVE_MM = 5.0
WALL_HU = 55.0
FloatArray = NDArray[np.float32]
Tube = tuple[Sequence[Point], Sequence[float]]
"""Points of a centre line (x, y, z), mm, and the radius at each."""


def pulmonary_arteries(signs: StrainSigns, nuisance: Nuisance) -> dict[str, Tube]:
    """Centre lines by name: the trunk, both mains, and the arteries of `anatomy.ARTERIES`."""
    radius = signs.trunk_diameter_mm / 2

    def at(*point: float) -> Point:
        return heart_point((point[0], point[1], point[2]), nuisance)

    fork, right_hilum, left_hilum = at(18.0, -18.0, -20.0), (-40.0, 3.0, -28.0), (50.0, 22.0, -18.0)
    main, lobe = 0.72 * radius, 0.5 * radius
    descent, thin = [main * 0.8, lobe, 0.45 * radius, 5.5], 4.0
    left_lower: Point = (60.0, 36.0, -52.0)
    right_lower: Point = (-60.0, 16.0, -58.0)
    return {
        "trunk": ([at(15.0, -52.0, -48.0), at(18.0, -38.0, -30.0), fork], [radius, radius, radius * 0.95]),
        "left_main": _smooth([fork, (36.0, 6.0, -12.0), left_hilum], [main * 1.1, main, main * 0.85]),
        "right_main": _smooth([fork, (-10.0, -6.0, -24.0), right_hilum], [main * 1.1, main, main * 0.85]),
        "left_upper": ([left_hilum, (62.0, 12.0, 2.0), (72.0, 0.0, 25.0)], [lobe, 6.0, thin]),
        "left_lower": (
            [left_hilum, (60.0, 33.0, -34.0), left_lower, (68.0, 42.0, -80.0)],
            descent,
        ),
        "right_upper": ([(-28.0, 0.0, -26.0), (-52.0, -2.0, -4.0), (-66.0, -4.0, 20.0)], [lobe, 6.5, thin]),
        "right_lower": (
            [right_hilum, (-56.0, 10.0, -42.0), right_lower, (-66.0, 30.0, -82.0)],
            descent,
        ),
        "right_middle": ([right_lower, (-74.0, -14.0, -68.0), (-88.0, -36.0, -78.0)], [6.0, 4.5, 3.0]),
        "left_basal_front": ([(68.0, 42.0, -80.0), (84.0, 28.0, -102.0)], [5.0, 3.0]),
        "left_basal_back": ([(68.0, 42.0, -80.0), (74.0, 60.0, -115.0)], [5.0, 3.0]),
        "right_basal_front": ([(-66.0, 30.0, -82.0), (-88.0, 14.0, -92.0)], [5.0, 3.0]),
        "right_basal_back": ([(-66.0, 30.0, -82.0), (-74.0, 58.0, -112.0)], [5.0, 3.0]),
        "left_lingula": ([left_lower, (82.0, 4.0, -52.0), (98.0, -18.0, -62.0)], [5.5, 4.0, 3.0]),
        "left_apical": ([(62.0, 12.0, 2.0), (60.0, 26.0, 45.0)], [5.0, 3.0]),
        "right_apical": ([(-52.0, -2.0, -4.0), (-56.0, 22.0, 42.0)], [5.0, 3.0]),
    }


def paint_pulmonary_arteries(canvas: Canvas, anatomy: Anatomy) -> FloatArray:
    """Outflow tract, trunk and arteries; returns how much of each voxel is arterial lumen, `(Z, Y, X)`."""
    signs, nuisance = anatomy.signs, anatomy.nuisance
    hu = nuisance.trunk_hu
    canvas.tube(*_outflow_tract(signs, nuisance), hu, label=RIGHT_VENTRICLE)
    lumen = Canvas(canvas.grid, canvas.pose, air_hu=0.0)
    for name, (points, radii) in reversed(pulmonary_arteries(signs, nuisance).items()):  # the trunk last, on top
        canvas.tube(points, radii, hu, label=TRUNK if name == "trunk" else 0)
        lumen.tube(points, radii, 1.0)
    return lumen.hu


def paint_clots(canvas: Canvas, lumen: FloatArray, anatomy: Anatomy) -> None:
    """Filling defects: each covers only what is lumen of an artery."""
    tubes = pulmonary_arteries(anatomy.signs, anatomy.nuisance)
    for clot in anatomy.clots:
        for start, end, start_mm, end_mm in _clot_cones(clot, tubes):
            box = canvas.tube_box(start, end, max(start_mm, end_mm))
            if box is None:
                continue
            inside = canvas.coverage(canvas.cone_mm(box, start, end, start_mm, end_mm))
            canvas.blend(box, np.minimum(inside, lumen[box]), clot.hu, label=CLOT)


def paint_sleeves(canvas: Canvas, anatomy: Anatomy) -> None:
    """Fat and walls around the great vessels; to be painted before the heart, which they must not cut into."""
    signs, nuisance = anatomy.signs, anatomy.nuisance
    arteries = pulmonary_arteries(signs, nuisance)
    near_heart = [arteries[name] for name in ("trunk", "left_main", "right_main")]
    outflow = _outflow_tract(signs, nuisance)
    aorta = _aorta(nuisance)
    for tube in [*near_heart, outflow, *aorta, *_upper_veins(signs, nuisance)]:
        canvas.tube(*tube, FAT_HU, grow_mm=SLEEVE_MM)
    for tube in aorta:
        canvas.tube(*tube, WALL_HU, grow_mm=1.5)
    canvas.tube(*outflow, WALL_HU + 40.0, grow_mm=3.0)


def paint_aorta(canvas: Canvas, nuisance: Nuisance) -> None:
    """Ascending aorta, arch with its three branches, descending aorta; calcified in the old."""
    hu = max(nuisance.left_fraction * nuisance.trunk_hu, nuisance.venous_hu)
    for tube in _aorta(nuisance):
        canvas.tube(*tube, hu, label=0)
    plaque = 5.0 * nuisance.calcification
    if plaque > 0.8:
        canvas.tube([(16.0, 30.0, 36.0), (30.0, 50.0, 22.0)], [plaque * 0.5, plaque * 0.4], 700.0)
        canvas.tube([(33.0, 54.0, -60.0), (32.0, 54.0, -72.0)], [plaque * 0.4, plaque * 0.4], 650.0)
        canvas.tube([(14.0, 52.0, -165.0), (12.0, 50.0, -185.0)], [plaque * 0.4, plaque * 0.5], 700.0)


def paint_veins(canvas: Canvas, anatomy: Anatomy) -> None:
    """SVC with its tributaries, azygos, IVC and hepatic veins, with contrast as far down as it has run back."""
    signs, nuisance = anatomy.signs, anatomy.nuisance
    dense = nuisance.vena_cava_factor * nuisance.trunk_hu
    for tube, hu in zip(_upper_veins(signs, nuisance), (dense, dense, nuisance.venous_hu + 60.0), strict=True):
        canvas.tube(*tube, hu, label=0)
    azygos = signs.azygos_diameter_mm / 2
    canvas.tube(
        [(-36.0, -12.0, 8.0), (-34.0, 14.0, 12.0), (-16.0, 36.0, 2.0), (-9.0, 44.0, -30.0), (-6.0, 44.0, -180.0)],
        [azygos, azygos, azygos, azygos, azygos * 0.8],
        nuisance.venous_hu + 0.5 * signs.reflux_density * (nuisance.trunk_hu - nuisance.venous_hu),
    )
    _paint_lower_veins(canvas, anatomy)


def paint_airways(canvas: Canvas, nuisance: Nuisance) -> None:
    """Trachea and main bronchi with their walls, oesophagus behind them."""
    trachea = 8.5 if nuisance.female else 9.5
    gullet: Tube = (
        [(3.0, 30.0, 110.0), (5.0, 36.0, 20.0), (4.0, 40.0, -50.0), (10.0, 36.0, -120.0), (30.0, 10.0, -150.0)],
        [7.0, 7.0, 7.0, 7.0, 8.0],
    )
    canvas.tube(*gullet, FAT_HU, grow_mm=3.0)
    canvas.tube(*gullet, 38.0)
    airways: list[Tube] = [
        ([(0.0, 14.0, 130.0), (0.0, 18.0, 50.0), (-1.0, 21.0, 0.0)], [trachea, trachea, trachea]),
        ([(0.0, 21.0, 0.0), (-26.0, 22.0, -22.0), (-48.0, 26.0, -40.0)], [8.0, 7.5, 5.5]),
        ([(-26.0, 22.0, -22.0), (-46.0, 16.0, -14.0)], [6.0, 4.5]),
        ([(-46.0, 26.0, -38.0), (-58.0, 34.0, -66.0), (-66.0, 40.0, -85.0)], [5.5, 4.5, 3.0]),
        ([(0.0, 21.0, 0.0), (28.0, 27.0, -26.0), (46.0, 32.0, -40.0)], [7.5, 6.5, 5.5]),
        ([(46.0, 32.0, -40.0), (64.0, 20.0, -30.0)], [4.5, 3.0]),
        ([(46.0, 32.0, -40.0), (56.0, 44.0, -70.0), (62.0, 50.0, -88.0)], [5.0, 4.0, 3.0]),
    ]
    for tube in airways:
        canvas.tube(*tube, 10.0, grow_mm=2.0)
    for tube in airways:
        canvas.tube(*tube, -990.0)


def _outflow_tract(signs: StrainSigns, nuisance: Nuisance) -> Tube:
    """From the right ventricle to the trunk."""
    radius = signs.trunk_diameter_mm / 2
    points = [(2.0, -52.0, -78.0), (9.0, -55.0, -62.0), (15.0, -52.0, -48.0)]
    return [heart_point(p, nuisance) for p in points], [0.5 * radius + 9.0, 0.5 * radius + 8.0, radius]


def _aorta(nuisance: Nuisance) -> list[Tube]:
    """The aorta and the three branches of its arch; it widens with age."""
    wide = 1.0 + 0.0025 * (nuisance.age_years - 60.0)
    root, rise = heart_point((-3.0, -28.0, -60.0), nuisance), heart_point((-19.0, -40.0, -28.0), nuisance)
    points = [
        root, rise, (-18.0, -32.0, 10.0), (-8.0, -18.0, 28.0), (8.0, 4.0, 33.0), (22.0, 26.0, 27.0),
        (28.0, 42.0, 10.0), (28.0, 46.0, -15.0), (23.0, 46.0, -90.0), (13.0, 42.0, -150.0), (6.0, 36.0, -200.0),
        (3.0, 27.0, -300.0),
    ]  # fmt: skip
    radii = [wide * r for r in (15.5, 16.5, 15.5, 14.5, 13.5, 13.0, 12.5, 12.0, 11.5, 11.0, 10.5, 9.0)]
    return [
        _smooth(points, radii),
        ([(-12.0, -16.0, 32.0), (-22.0, -8.0, 60.0), (-30.0, 0.0, 110.0)], [6.5, 6.0, 4.0]),
        ([(2.0, -4.0, 38.0), (16.0, 0.0, 65.0), (26.0, 4.0, 110.0)], [4.5, 4.0, 3.5]),
        ([(12.0, 10.0, 38.0), (26.0, 16.0, 62.0), (44.0, 14.0, 100.0)], [5.5, 5.0, 4.0]),
    ]


def _upper_veins(signs: StrainSigns, nuisance: Nuisance) -> list[Tube]:
    """SVC, right and left brachiocephalic vein."""
    svc = signs.svc_diameter_mm / 2
    top: Point = (-36.0, -20.0, 32.0)
    entry = heart_point((-36.0, -18.0, -48.0), nuisance)
    return [
        ([top, (-36.0, -20.0, -5.0), entry], [svc, svc, svc * 1.15]),
        ([top, (-42.0, -20.0, 60.0), (-58.0, -12.0, 92.0)], [svc, svc * 0.85, svc * 0.7]),
        ([top, (-4.0, -40.0, 46.0), (32.0, -30.0, 68.0), (54.0, -14.0, 92.0)],
         [svc, svc * 0.8, svc * 0.75, svc * 0.7]),
    ]  # fmt: skip


def _paint_lower_veins(canvas: Canvas, anatomy: Anatomy) -> None:
    signs, nuisance = anatomy.signs, anatomy.nuisance
    top = heart_point((-30.0, -6.0, -98.0), nuisance)
    ivc = signs.ivc_diameter_mm / 2
    down = nuisance.breath_mm
    points = [top, (-26.0, 8.0, -118.0 + down), (-23.0, 20.0, -150.0 + down), (-21.0, 24.0, -300.0)]
    radii = [ivc * 1.05, ivc * 1.05, ivc, ivc * 0.9]
    branch = 0.32 * ivc + 1.0
    mouth: Point = (-30.0, 8.0, -122.0 + down)
    tubes: list[Tube] = [
        (points, radii),
        ([mouth, (-62.0, 22.0, -134.0 + down), (-100.0, 34.0, -158.0 + down)], [branch * 1.3, branch, 2.5]),
        ([mouth, (-50.0, -14.0, -134.0 + down), (-74.0, -52.0, -160.0 + down)], [branch * 1.2, branch, 2.5]),
        ([mouth, (-12.0, -20.0, -132.0 + down), (16.0, -50.0, -146.0 + down)], [branch * 1.1, branch, 2.5]),
        ([(-50.0, 16.0, -130.0 + down), (-88.0, 2.0, -150.0 + down)], [branch * 0.7, 2.0]),
    ]
    atrium_hu = 0.88 * nuisance.trunk_hu
    reach = signs.reflux_depth_mm
    for order, (line, sizes) in enumerate(tubes):
        base = nuisance.venous_hu + (10.0 if order == 0 else 0.0)
        _paint_reflux(
            canvas,
            (line, sizes),
            base,
            atrium_hu,
            top,
            reach * (1.0 if order == 0 else 1.15),
            signs.reflux_density,
            label=INFERIOR_VENA_CAVA if order == 0 else 0,
        )


def _paint_reflux(
    canvas: Canvas,
    tube: Tube,
    base_hu: float,
    dense_hu: float,
    top: Point,
    depth_mm: float,
    density: float,
    *,
    label: int,
) -> None:
    """A vein whose contrast fades with the distance from the right atrium."""
    points, radii = tube
    for start, end, start_mm, end_mm in zip(points, points[1:], radii, radii[1:], strict=False):
        box = canvas.tube_box(start, end, max(start_mm, end_mm))
        if box is None:
            continue
        x, y, z = canvas.local(box, top)
        away = np.sqrt((x * x + y * y)[None] + z * z)
        share = np.float32(density) / (1.0 + np.exp(np.clip((away - np.float32(depth_mm)) / 10.0, -30.0, 30.0)))
        hu = np.float32(base_hu) + share * np.float32(dense_hu - base_hu)
        inside = canvas.coverage(canvas.cone_mm(box, start, end, start_mm, end_mm))
        canvas.blend(box, inside, hu.astype(np.float32), label=label)


def _clot_cones(clot: Clot, tubes: dict[str, Tube]) -> list[tuple[Point, Point, float, float]]:
    if clot.artery == "saddle":
        left, right = tubes["left_main"], tubes["right_main"]
        line = [_between(left, 0.55), left[0][0], _between(right, 0.5)]
        size = 0.55 * left[1][0]
        return [(line[0], line[1], size, size), (line[1], line[2], size, size)]
    tube = tubes[clot.artery]
    cones = []
    stops = np.linspace(clot.start, clot.stop, 4)
    for low, high in itertools.pairwise(stops):
        sizes = [clot.fill * _radius(tube, part) for part in (low, high)]
        ends = [_aside(_between(tube, part), clot, _radius(tube, part)) for part in (low, high)]
        cones.append((ends[0], ends[1], sizes[0], sizes[1]))
    return cones


def _aside(point: Point, clot: Clot, radius: float) -> Point:
    off = (1.0 - clot.fill) * 0.7 * radius
    return (
        point[0] + off * math.cos(clot.direction_rad),
        point[1] + off * math.sin(clot.direction_rad),
        point[2],
    )


def _smooth(points: Sequence[Point], radii: Sequence[float]) -> Tube:
    """The same tube through twice as many points, bent like a spline instead of at corners."""
    knots = np.arange(len(points))
    fine = np.linspace(0.0, len(points) - 1.0, 2 * len(points) - 1)
    line = CubicSpline(knots, np.array(points))(fine)
    return [_point(point) for point in line], np.interp(fine, knots, radii).tolist()


def _between(tube: Tube, part: float) -> Point:
    points = np.array(tube[0])
    steps = np.linspace(0.0, 1.0, len(points))
    return _point(np.array([np.interp(part, steps, points[:, axis]) for axis in range(3)]))


def _radius(tube: Tube, part: float) -> float:
    return float(np.interp(part, np.linspace(0.0, 1.0, len(tube[1])), tube[1]))


def _point(values: NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])
