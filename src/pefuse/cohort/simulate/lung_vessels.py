"""The branching vessels within the lungs: grown as a tree, painted as a cloud of points.

Thousands of branches thinner than a voxel matter only by how much of each voxel they fill. So each branch is a
cloud of points evenly spread in its volume, and a voxel's share of vessel is its share of the points' volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.anatomy import Anatomy, Nuisance
from pefuse.cohort.simulate.canvas import Canvas
from pefuse.cohort.simulate.thorax import cavity_depth_mm
from pefuse.cohort.simulate.vessels import pulmonary_arteries

__all__ = ["Branches", "grow_branches", "paint_lung_vessels"]

TREES = 54  # a lung; every third is a vein's
GENERATIONS = 6
FIRST_LENGTH_MM, LENGTH_FACTOR = 24.0, 0.84
FIRST_RADIUS_MM, RADIUS_FACTOR = 2.9, 0.77  # Murray's law says 0.79 for two equal children
CENTRAL = ("trunk", "left_main", "right_main")
GOLDEN_ANGLE = 2.399963


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Straight pieces of vessel: `start` and `end` `(N, 3)` (x, y, z) mm, `radius` mm and `hu` `(N,)`."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radius: NDArray[np.float64]
    hu: NDArray[np.float64]


def grow_branches(anatomy: Anatomy) -> Branches:
    """Trees from the lobar arteries out to the pleura: each branch forks in two until it leaves the lung."""
    nuisance = anatomy.nuisance
    rng = np.random.default_rng([nuisance.texture_seed, 1])
    start, way = _roots(anatomy, rng)
    radius = FIRST_RADIUS_MM * rng.uniform(0.75, 1.15, len(start))
    veins_hu = max(nuisance.left_fraction * nuisance.trunk_hu, nuisance.venous_hu)
    hu = np.where(np.arange(len(start)) % 3 == 0, veins_hu, nuisance.trunk_hu)
    length = FIRST_LENGTH_MM
    grown = []
    for _ in range(GENERATIONS):
        end = start + way * length * rng.uniform(0.7, 1.3, (len(start), 1))
        inside = cavity_depth_mm(end, nuisance) > 4.0
        start, end, way, radius, hu = start[inside], end[inside], way[inside], radius[inside], hu[inside]
        grown.append((start, end, radius, hu))
        start, radius, hu = np.repeat(end, 2, axis=0), np.repeat(radius * RADIUS_FACTOR, 2), np.repeat(hu, 2)
        way = _unit(np.repeat(way, 2, axis=0) + 0.42 * rng.standard_normal((len(start), 3)))
        length *= LENGTH_FACTOR
    columns = [np.concatenate(column) for column in zip(*grown, strict=True)]
    return Branches(start=columns[0], end=columns[1], radius=columns[2], hu=columns[3])


def paint_lung_vessels(canvas: Canvas, anatomy: Anatomy) -> None:
    """Paint the branches; to be done before all that lies beside the lungs."""
    branches = _within(canvas, grow_branches(anatomy))
    if not len(branches.start):
        return
    voxel_mm3 = float(np.prod(canvas.grid.spacing_mm)) / canvas.pose.scale**3
    points, volume, hu = _cloud(branches, step_mm=0.9 * canvas.edge_mm)
    place, weight = _spread(canvas, points)
    weight *= np.tile(volume, 8) / voxel_mm3
    count = canvas.hu.size
    share = np.bincount(place, weight, minlength=count).astype(np.float32)
    blood = np.bincount(place, weight * np.tile(hu, 8), minlength=count).astype(np.float32)
    filled = np.nonzero(share)[0]
    flat = canvas.hu.reshape(-1)
    part = share[filled]
    flat[filled] += np.minimum(part, 1.0) * (blood[filled] / part - flat[filled])


def _roots(anatomy: Anatomy, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where trees begin, and which way: from the nearest lobar artery to a random place in the lung."""
    nuisance = anatomy.nuisance
    tubes = pulmonary_arteries(anatomy.signs, nuisance)
    hilar = np.array([point for name, tube in tubes.items() if name not in CENTRAL for point in tube[0][1:]])
    targets = _places_in_lungs(nuisance, rng)
    same_side = np.sign(hilar[None, :, 0]) == np.sign(targets[:, None, 0])
    away = np.linalg.norm(targets[:, None] - hilar[None], axis=2)
    start = hilar[np.argmin(np.where(same_side, away, np.inf), axis=1)]
    return start, _unit(targets - start)


def _places_in_lungs(nuisance: Nuisance, rng: np.random.Generator) -> NDArray[np.float64]:
    """`TREES` random points a lung, evenly spread."""
    points = rng.uniform((35.0, -90.0, -190.0), (130.0, 90.0, 90.0), (80 * TREES, 3))
    points[::2, 0] *= -1.0
    inside = points[cavity_depth_mm(points, nuisance) > 10.0]
    return np.concatenate([inside[inside[:, 0] > 0][:TREES], inside[inside[:, 0] < 0][:TREES]])


def _within(canvas: Canvas, branches: Branches) -> Branches:
    """Only the branches that touch the canvas's slices."""
    margin = FIRST_RADIUS_MM * 2 + canvas.grid.spacing_mm[0] / canvas.pose.scale
    low, high = float(canvas.z.min()) - margin, float(canvas.z.max()) + margin
    lower = np.minimum(branches.start[:, 2], branches.end[:, 2])
    upper = np.maximum(branches.start[:, 2], branches.end[:, 2])
    keep = (upper > low) & (lower < high)
    return Branches(
        start=branches.start[keep], end=branches.end[keep], radius=branches.radius[keep], hu=branches.hu[keep]
    )


def _cloud(
    branches: Branches, *, step_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points `(M, 3)` in the branches, the volume that each stands for (mm3) and its HU."""
    along = branches.end - branches.start
    length = np.linalg.norm(along, axis=1)
    turns = np.ceil(length / step_mm).astype(np.int64)
    across = np.ceil((2.0 * branches.radius / step_mm) ** 2).astype(np.int64)
    counts = turns * across
    owner = np.repeat(np.arange(len(counts)), counts)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (rank + 0.5) / counts[owner]
    # A sunflower's pattern fills the disc evenly however many seeds it has.
    ring = np.sqrt((rank % across[owner] + 0.5) / across[owner]) * branches.radius[owner]
    angle = rank * GOLDEN_ANGLE
    side = _unit(np.cross(along, (0.3, 0.5, 0.8)))
    other = _unit(np.cross(along, side))
    points = branches.start[owner] + part[:, None] * along[owner]
    points += (ring * np.cos(angle))[:, None] * side[owner] + (ring * np.sin(angle))[:, None] * other[owner]
    volume = (np.pi * branches.radius**2 * length / counts)[owner]
    return points, volume, branches.hu[owner]


def _spread(canvas: Canvas, points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Flat index and trilinear weight of the 8 voxels around each point; points outside weigh nothing."""
    pose, grid = canvas.pose, canvas.grid
    cosine, sine = np.cos(pose.turn_rad), np.sin(pose.turn_rad)
    x, y, z = points.T
    turned = (z, sine * x + cosine * y, cosine * x - sine * y)
    place = np.zeros((8, len(points)), np.int64)
    weight = np.ones((8, len(points)))
    corners = np.array(np.unravel_index(np.arange(8), (2, 2, 2)))
    for axis in range(3):
        at = turned[axis] * pose.scale + pose.shift_mm[2 - axis] - grid.origin_mm[axis]
        low = np.floor(at / grid.spacing_mm[axis]).astype(np.int64)
        rest = at / grid.spacing_mm[axis] - low
        index = low[None] + corners[axis][:, None]
        weight *= np.where(corners[axis][:, None] == 1, rest, 1.0 - rest)
        weight *= (index >= 0) & (index < grid.shape[axis])
        place = place * grid.shape[axis] + np.clip(index, 0, grid.shape[axis] - 1)
    return place.reshape(-1), weight.reshape(-1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    return unit
