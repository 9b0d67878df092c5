"""From files straight to the model's grid: each slice is decoded, looked at and resampled while in the cache.

The result is that of `read_scan` and `to_grid`, bit by bit, without the full volume ever being in memory.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pefuse.ct.axes import arrange
from pefuse.ct.continuity import ContinuityCheck
from pefuse.ct.headers import quiet_pydicom
from pefuse.ct.lungs import cut_to_lungs
from pefuse.ct.planes import PlaneReader
from pefuse.ct.plausibility import ChestCheck
from pefuse.ct.reports import SeriesReport
from pefuse.ct.resample import GridPass, to_grid
from pefuse.ct.rules import ScanRules
from pefuse.ct.scan import ScanPlan, plan_scan, read_best_or_raise, read_planned
from pefuse.ct.series import DEFAULT_RULES
from pefuse.ct.unpacking import opened
from pefuse.types import FieldOfView, Volume

__all__ = ["GridScan", "read_planned_to_grid", "read_to_grid"]


@dataclass(frozen=True, kw_only=True)
class GridScan:
    """A scan on the model's grid, and what it was before: voxels and mm along `(Z, Y, X)`."""

    volume: Volume
    report: SeriesReport
    original_shape: tuple[int, ...]
    original_spacing_mm: tuple[float, float, float]


def read_to_grid(
    path: Path,
    *,
    grid: int = 128,
    field_of_view: FieldOfView = "whole",
    rules: ScanRules = DEFAULT_RULES,
    threads: int = 2,
) -> GridScan:
    """Read a CT of the chest as `read_scan` does, and bring it to the grid as `to_grid` does.

    Args:
        grid: voxels along each side.
        field_of_view: the whole scan, as in the paper, or the lungs' box (`cut_to_lungs`).
        rules: as for `read_scan`.

    Raises:
        ScanError: what lies there cannot become a right volume.
        UsageError: a grid outside 8 to 1024.
    """
    with opened(path) as found:
        plan = plan_scan(found, rules)
        read = partial(read_planned_to_grid, grid=grid, field_of_view=field_of_view, threads=threads)
        return read_best_or_raise(plan, read)


def read_planned_to_grid(
    plan: ScanPlan, *, grid: int, threads: int, field_of_view: FieldOfView = "whole"
) -> GridScan:
    """The first series of a plan that is not refused, as `read_to_grid` gives it.

    Raises:
        ScanError: what is wrong with the pixels.
    """
    if plan.stack is None or field_of_view == "lungs":
        # The box of the lungs is known when the last slice is: the scan is held whole until then.
        volume, report = read_planned(plan)
        seen = cut_to_lungs(volume) if field_of_view == "lungs" else volume
        return GridScan(
            volume=to_grid(seen, grid=grid, threads=threads),
            report=report,
            original_shape=volume.hu.shape,
            original_spacing_mm=volume.spacing_mm,
        )
    reader = PlaneReader(plan.stack.headers, plan.stack.planes, plan.stack.shape)
    arrangement = arrange((len(reader.planes), *reader.shape), plan.stack.affine)
    grid_pass = GridPass(arrangement.shape, grid)
    chest, continuity = ChestCheck(arrangement.shape), ContinuityCheck(arrangement.shape)

    def take(index: int) -> None:
        z, upright = arrangement.turn_plane(index, reader.read(index))
        chest.add(z, upright)
        continuity.add(z, upright)
        grid_pass.add(z, upright)

    with quiet_pydicom(), ThreadPoolExecutor(threads) as pool:
        list(pool.map(take, range(len(reader.planes))))
    warnings = (*continuity.finish(), *chest.finish(arrangement.affine))
    z_mm, y_mm, x_mm = map(float, np.linalg.norm(arrangement.affine[:3, :3], axis=0))
    return GridScan(
        volume=grid_pass.finish(arrangement.affine),
        report=plan.read_with(reader.repairs, warnings),
        original_shape=arrangement.shape,
        original_spacing_mm=(z_mm, y_mm, x_mm),
    )
