"""What a simulated scan really shows where: its truth mask on the model's grid, and how much heat lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from pefuse.cohort.simulate.phantom import LABELS

__all__ = ["ALL_STRAINED", "STRAINED", "HeatShare", "heat_shares", "structures_on_grid"]

Shares = dict[str, NDArray[np.float32]]

STRAINED = ("right_ventricle", "pulmonary_trunk", "inferior_vena_cava", "right_atrium")
"""Structures whose shape or density the simulated strain changes, and with it the risk."""

ALL_STRAINED = "all strained"
STEPS = 4  # points along each axis of a grid's voxel at which the mask is asked


@dataclass(frozen=True, kw_only=True)
class HeatShare:
    """One structure of one scan: its share of the heat and of the volume.

    `hit`: the hottest voxel touches it; `hit_chance`: the chance that a voxel picked at random does.
    """

    structure: str
    heat_share: float
    volume_share: float
    hit: bool
    hit_chance: float

    def to_row(self) -> dict[str, str | float | int]:
        """As a row of a table; a hit is 1 or 0."""
        return {**vars(self), "hit": int(self.hit)}


def structures_on_grid(mask: Path, affine: NDArray[np.float64], grid: int) -> Shares:
    """How much of each voxel of the model's grid every structure fills, `(Z, Y, X)` in [0, 1].

    Args:
        mask: the truth beside a simulated scan, with the labels of `LABELS`.
        affine: of the grid, index (z, y, x, 1) to LPS mm.
        grid: voxels a side.
    """
    image: Any = SimpleITK.ReadImage(str(mask))
    labels = SimpleITK.GetArrayFromImage(image)  # (Z, Y, X)
    spacing, origin = (np.array(values)[::-1] for values in (image.GetSpacing(), image.GetOrigin()))
    fine = (np.arange(grid * STEPS) + 0.5) / STEPS - 0.5
    found = [
        np.rint((affine[2 - axis, axis] * fine + affine[2 - axis, 3] - origin[axis]) / spacing[axis]).astype(int)
        for axis in range(3)
    ]
    framed = np.pad(labels, 1)  # beyond the mask there is nothing
    places = [np.clip(place + 1, 0, size + 1) for place, size in zip(found, labels.shape, strict=True)]
    sampled = framed[np.ix_(*places)]
    blocks = sampled.reshape(grid, STEPS, grid, STEPS, grid, STEPS)
    return {name: (blocks == label).mean(axis=(1, 3, 5), dtype=np.float32) for name, label in LABELS.items()}


def heat_shares(heat: NDArray[np.float32], structures: Shares) -> list[HeatShare]:
    """How much of one scan's heat `(Z, Y, X)` lies in each structure, and in all strained ones together.

    The pointing game (Zhang et al. 2018, arXiv 1608.00507): whether the hottest voxel touches the structure. A
    scan without any heat has none in any structure, and points at nothing.
    """
    strained = np.minimum(np.sum([structures[name] for name in STRAINED], axis=0), 1.0)
    parts = {**structures, ALL_STRAINED: strained}
    total = float(heat.sum())
    hottest = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return [
        HeatShare(
            structure=name.replace("_", " "),
            heat_share=float((heat * inside).sum()) / total if total > 0 else 0.0,
            volume_share=float(inside.mean()),
            hit=total > 0 and bool(inside[hottest] > 0),
            hit_chance=float((inside > 0).mean()),
        )
        for name, inside in parts.items()
    ]
