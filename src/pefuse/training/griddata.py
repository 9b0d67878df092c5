"""What the cells of one comparison learn from, and what decides their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord
from pefuse.machine import allowed_cores
from pefuse.models.zoo import model_row
from pefuse.training.cells import CellKey, digest
from pefuse.training.config import RunConfig
from pefuse.types import Fold

__all__ = ["SETTINGS", "GridData", "cell_digest", "cell_needs"]

# Raised when a cell keeps something that older ones lack, or is computed otherwise: those are then trained again.
CELL_FORM = 3

# The parts of a run's settings that decide what a kind of model learns.
SETTINGS = {
    "score": ("score_missing",),
    "trees": ("record", "xgboost"),
    "record": ("record", "tabnet"),
    "scan": ("scan", "sanet"),
    "late": (),
    "intermediate": ("scan", "record", "intermediate"),
}


@dataclass(frozen=True, kw_only=True)
class GridData:
    """All that cells learn from; sent once to each worker."""

    run: Path
    config: RunConfig
    folds: tuple[Fold, ...]
    labels: pd.Series[float]
    record: RawRecord | None
    scans: PreparedScans | None
    scores: pd.DataFrame
    fingerprint: str  # of the data: changes when any label, feature or scan does

    @property
    def threads(self) -> int:
        """Of a cell."""
        return self.config.threads or allowed_cores()

    def fold(self, index: int) -> Fold:
        """The fold of that number."""
        return next(fold for fold in self.folds if fold.index == index)


def cell_digest(key: CellKey, data: GridData) -> str:
    """Of everything that decides a cell's numbers: its settings, its fold, the data, and what it starts from."""
    row = model_row(key.model)
    settings = data.config.model_dump(mode="json")
    parts = {name: settings[name] for name in SETTINGS[row.kind]}
    fold = data.fold(key.fold)
    needs = sorted(cell_digest(need, data) for need in cell_needs(key))
    members = [fold.train, fold.validation, fold.test]
    return digest(
        CELL_FORM, str(key), parts, dict(row.options), members, data.fingerprint, data.config.threads, needs
    )


def cell_needs(key: CellKey) -> set[CellKey]:
    """The cells that a cell starts from."""
    return {replace(key, model=need) for need in model_row(key.model).needs}
