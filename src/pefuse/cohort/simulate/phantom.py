"""From an anatomy to a scan: HU and truth masks on a grid, before and after the scanner's blur and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pefuse.cohort.simulate.anatomy import Anatomy, Nuisance
from pefuse.cohort.simulate.canvas import Canvas, Grid, Pose
from pefuse.cohort.simulate.heart import lay_heart, paint_heart
from pefuse.cohort.simulate.lung_vessels import paint_lung_vessels
from pefuse.cohort.simulate.thorax import (
    AIR_HU,
    measure_chest,
    paint_abdomen,
    paint_bones,
    paint_lungs,
    paint_mark,
    paint_table,
    paint_wall,
)
from pefuse.cohort.simulate.vessels import (
    paint_airways,
    paint_aorta,
    paint_clots,
    paint_pulmonary_arteries,
    paint_sleeves,
    paint_veins,
)

__all__ = ["LABELS", "Phantom", "draw_phantom", "expose", "scan_grid", "soft_noise"]

FloatArray = NDArray[np.float32]

LABELS = {
    "right_ventricle": 1,
    "left_ventricle": 2,
    "pulmonary_trunk": 3,
    "clot": 4,
    "inferior_vena_cava": 5,
    "right_atrium": 6,
}

COVERAGE_MM = 320.0
COVERAGE_MIDDLE_MM = -62.0  # height of the scanned range's middle against the carina
SLAB_VOXELS = 12_000_000


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """A chest without noise: `hu` float32, `labels` uint8 of `LABELS`, `arteries` bool; all `(Z, Y, X)`."""

    hu: FloatArray
    labels: NDArray[np.uint8]
    arteries: NDArray[np.bool_]
    grid: Grid


def scan_grid(nuisance: Nuisance, *, matrix: int, slices: int, full_size: bool) -> Grid:
    """The grid that a scanner would choose: `matrix` across the field of view, or 512 at 0.7 x 0.7 x 1 mm."""
    if full_size:
        matrix, pixel_mm, slice_mm = 512, 0.7, 1.0
        slices = round(COVERAGE_MM * nuisance.body_scale * 0.95)
    else:
        pixel_mm = round(nuisance.field_of_view_mm / matrix, 4)
        slice_mm = round(COVERAGE_MM * nuisance.body_scale / slices, 2)
    middle = nuisance.shift_mm[2] + nuisance.coverage_mm + COVERAGE_MIDDLE_MM * nuisance.body_scale
    start = -pixel_mm * (matrix - 1) / 2
    return Grid(
        shape=(slices, matrix, matrix),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
        origin_mm=(round(middle - slice_mm * (slices - 1) / 2, 2), start, start),
    )


def draw_phantom(anatomy: Anatomy, grid: Grid) -> Phantom:
    """Paint the chest, slab by slab so that a large grid needs little memory besides its own."""
    hu = np.empty(grid.shape, np.float32)
    labels = np.empty(grid.shape, np.uint8)
    arteries = np.empty(grid.shape, np.bool_)
    thick = max(1, SLAB_VOXELS // (grid.shape[1] * grid.shape[2]))
    for start in range(0, grid.shape[0], thick):
        part = slice(start, min(start + thick, grid.shape[0]))
        canvas, lumen = _paint(anatomy, grid.slab(part.start, part.stop))
        hu[part], labels[part], arteries[part] = canvas.hu, canvas.labels, lumen > 0
    return Phantom(hu=hu, labels=labels, arteries=arteries, grid=grid)


def soft_noise(grid: Grid, nuisance: Nuisance, *, blur_mm: float, seed: int) -> FloatArray:
    """Noise of unit standard deviation as a kernel leaves it: neighbours in a slice go together, slices do not."""
    rng = np.random.default_rng([nuisance.texture_seed, seed])
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    sigma = blur_mm / grid.spacing_mm[2]
    if sigma > 0.2:
        for axis in (1, 2):
            noise = gaussian_filter1d(noise, sigma, axis=axis, mode="wrap", truncate=3.0)
        noise /= np.float32(noise[: max(1, grid.shape[0] // 8)].std())
    return noise


def expose(phantom: Phantom, nuisance: Nuisance, *, blur_mm: float, noise_hu: float, seed: int) -> FloatArray:
    """What the scanner sees: the phantom blurred by its kernel, with noise that is worst in the body's middle."""
    grid = phantom.grid
    hu = phantom.hu
    sigma = blur_mm / grid.spacing_mm[2]
    if sigma > 0.2:
        for axis in (1, 2):
            hu = gaussian_filter1d(hu, sigma, axis=axis, mode="nearest", truncate=3.0)
    noise = soft_noise(grid, nuisance, blur_mm=blur_mm, seed=seed)
    radius = 130.0 * nuisance.body_scale
    x, y = (grid.axis_mm(2) - nuisance.shift_mm[0]) / radius, (grid.axis_mm(1) - nuisance.shift_mm[1]) / radius
    local = 0.35 + 0.65 * np.exp(-0.5 * (x[None, :] ** 2 + 1.6 * y[:, None] ** 2))
    noise *= (noise_hu * local).astype(np.float32)
    noise += hu
    return np.maximum(noise, -1024.0, out=noise)


def _paint(anatomy: Anatomy, grid: Grid) -> tuple[Canvas, FloatArray]:
    nuisance = anatomy.nuisance
    pose = Pose(scale=nuisance.body_scale, turn_rad=math.radians(nuisance.turn_deg), shift_mm=nuisance.shift_mm)
    canvas = Canvas(grid, pose, air_hu=AIR_HU)
    chest = measure_chest(canvas, nuisance)
    paint_wall(canvas, chest, nuisance)
    paint_lungs(canvas, chest, nuisance)
    paint_lung_vessels(canvas, anatomy)
    paint_abdomen(canvas, chest, nuisance)
    paint_bones(canvas, chest, nuisance)
    paint_sleeves(canvas, anatomy)
    paint_heart(canvas, lay_heart(anatomy.signs, nuisance), nuisance)
    paint_airways(canvas, nuisance)
    lumen = paint_pulmonary_arteries(canvas, anatomy)
    paint_aorta(canvas, nuisance)
    paint_veins(canvas, anatomy)
    paint_clots(canvas, lumen, anatomy)
    paint_table(canvas, nuisance, other=anatomy.shortcut_mark)
    if anatomy.shortcut_mark:
        paint_mark(canvas, nuisance)
    return canvas, lumen
