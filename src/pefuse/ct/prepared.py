"""A folder of prepared scans: volumes of one grid, the table that describes them, and what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.errors import RunError, UsageError
from pefuse.types import FieldOfView

__all__ = [
    "QUARANTINE_COLUMNS",
    "TABLE_COLUMNS",
    "PreparedScans",
    "load_prepared",
    "volume_path",
    "voxel_checksum",
]

TABLE_COLUMNS = (
    "status",  # ready, refused or no scan
    "grid",  # voxels along each axis
    "field_of_view",  # what of the scan lies on it: whole, or lungs
    "affine",  # 16 numbers, row by row: index (z, y, x, 1) of the grid to LPS mm (x, y, z, 1); empty unless ready
    "original_shape",  # (Z, Y, X) of the scan
    "original_spacing_mm",
    "series",  # hash of the chosen SeriesInstanceUID; "" for an image file
    "repairs",  # what was changed beyond the standard's arithmetic, separated by "; "
    "checksum",  # SHA-256 of the voxels
    "signature",  # of the source's files
)
QUARANTINE_COLUMNS = ("study_id", "step", "reason", "remedy")


@dataclass(frozen=True, kw_only=True)
class PreparedScans:
    """Volumes int16 HU `(grid, grid, grid)` on disk. `table` is indexed by study_id, see TABLE_COLUMNS."""

    folder: Path
    grid: int
    field_of_view: FieldOfView
    table: pd.DataFrame = field(repr=False)
    quarantine: pd.DataFrame = field(repr=False)

    @property
    def available(self) -> tuple[str, ...]:
        """Studies that have a volume, in the cohort's order."""
        return tuple(str(study_id) for study_id in self.table.index[self.table["status"] == "ready"])

    def load(self, study_ids: Sequence[str]) -> NDArray[np.int16]:
        """Volumes in HU, `(N, Z, Y, X)`, in the order asked for.

        Raises:
            UsageError: a study without a volume.
            RunError: a file is gone, of another shape, or its voxels are not those that were written.
        """
        missing = sorted(set(study_ids) - set(self.available))
        if missing:
            raise UsageError(
                f"{len(missing)} of {len(study_ids)} studies have no prepared volume, {missing[0]} among them: "
                "see quarantine.csv, or leave them out."
            )
        volumes = np.empty((len(study_ids), self.grid, self.grid, self.grid), np.int16)
        for volume, study_id in zip(volumes, study_ids, strict=True):
            volume[...] = _open(self.folder, study_id, self.grid)
            if voxel_checksum(volume) != self.table.at[study_id, "checksum"]:
                raise RunError(
                    f"Study {study_id}: the voxels of its prepared volume are not those that were written: "
                    f"remove volumes/{study_id}.npy and run `pefuse prepare` again."
                )
        return volumes

    def affine(self, study_id: str) -> NDArray[np.float64]:
        """Index `(z, y, x, 1)` of the study's volume to the scanner's LPS mm `(x, y, z, 1)`."""
        return np.array(self.table.at[study_id, "affine"], np.float64).reshape(4, 4)


def voxel_checksum(hu: NDArray[np.int16] | NDArray[np.float32]) -> str:
    """SHA-256 of the voxels in index order."""
    return hashlib.sha256(np.ascontiguousarray(hu).data).hexdigest()


def volume_path(folder: Path, study_id: str) -> Path:
    """Where a study's volume lies in a prepared folder."""
    return folder / "volumes" / f"{study_id}.npy"


def load_prepared(folder: Path) -> PreparedScans:
    """Open what `prepare` wrote, and check that every volume is there and of its size.

    Raises:
        UsageError: no such folder.
        RunError: it is not finished, or damaged.
    """
    if not folder.is_dir():
        raise UsageError("There is no folder of prepared scans there: run `pefuse prepare` first.")
    if not (folder / "volumes.parquet").is_file():
        raise RunError(
            "The scans' preparation was not finished: run `pefuse prepare` again, it goes on where it stopped."
        )
    try:
        table = pd.read_parquet(folder / "volumes.parquet")
        quarantine = pd.read_csv(folder / "quarantine.csv", dtype=str, keep_default_na=False)
        grid, field_of_view = int(table["grid"].iloc[0]), str(table["field_of_view"].iloc[0])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise RunError("The prepared scans' tables are damaged: run `pefuse prepare` again.") from error
    if set(table.columns) != set(TABLE_COLUMNS) or list(quarantine.columns) != list(QUARANTINE_COLUMNS):
        raise RunError("The prepared scans were written by another version: run `pefuse prepare` again.")
    scans = PreparedScans(
        folder=folder,
        grid=grid,
        field_of_view="lungs" if field_of_view == "lungs" else "whole",
        table=table,
        quarantine=quarantine,
    )
    for study_id in scans.available:
        _open(folder, study_id, grid)
    return scans


def _open(folder: Path, study_id: str, grid: int) -> NDArray[np.int16]:
    try:
        volume = np.load(volume_path(folder, study_id), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RunError(
            f"Study {study_id}: its prepared volume is gone or damaged: run `pefuse prepare`."
        ) from error
    if volume.shape != (grid, grid, grid) or volume.dtype != np.int16:
        raise RunError(
            f"Study {study_id}: its prepared volume has shape {volume.shape} and type {volume.dtype}, but "
            f"({grid}, {grid}, {grid}) int16 is needed: run `pefuse prepare` again."
        )
    checked: NDArray[np.int16] = volume
    return checked
