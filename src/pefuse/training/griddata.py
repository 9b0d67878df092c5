"""What the cells of one comparison learn from, and what decides their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from pefuse.cohort import nested_folds
from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord, ScoreValues
from pefuse.machine import allowed_cores
from pefuse.models.zoo import Row, model_row
from pefuse.training.cells import CellKey, digest
from pefuse.training.config import RunConfig
from pefuse.types import Fold

__all__ = ["Digests", "GridData", "cell_needs", "settings_of", "with_cell_needs"]

# Raised when a cell keeps something that older ones lack, or is computed otherwise: those are then trained again.
CELL_FORM = 4


def settings_of(row: Row) -> tuple[str, ...]:
    """The parts of a run's settings that decide what a model learns, beyond those of what it starts from."""
    if row.kind == "fusion":
        assert row.fusion is not None
        return (row.fusion.settings, "scan", "record")
    if row.kind == "late":
        return ("late",) if row.stacked else ()
    return {
        "score": ("score_missing",),
        "trees": ("record", "xgboost"),
        "record": ("record", "tabnet"),
        "scan": ("scan", row.base),
    }[row.kind]


@dataclass(frozen=True, kw_only=True)
class GridData:
    """All that cells learn from; sent once to each worker."""

    run: Path
    config: RunConfig
    folds: tuple[Fold, ...]
    labels: pd.Series[float]
    record: RawRecord | None
    scans: PreparedScans | None
    scores: ScoreValues | None
    fingerprint: str  # of the data: changes when any label, feature or scan does
    patients: pd.Series[int]  # by study_id
    pretrained: Path | None = None  # Swin's file; its hash stands in the config

    @property
    def threads(self) -> int:
        """Of a cell."""
        return self.config.threads or allowed_cores()

    def followed(self, key: CellKey) -> bool:
        """Whether the cell keeps what its network made of the cases on the way: one cell a model does."""
        return (key.seed, key.fold, key.part) == (self.config.seeds[0], self.folds[0].index, -1)

    def fold(self, key: CellKey) -> Fold:
        """The split that a cell is trained on."""
        whole = next(fold for fold in self.folds if fold.index == key.fold)
        if key.part < 0:
            return whole
        return self._nested(whole)[key.part]

    def out_of_fold(self, key: CellKey, need: str) -> tuple[CellKey, ...]:
        """Cells of `need` whose held-out studies together are the training part of the cell's fold.

        Those are the other folds, where each training study is validated by one of them. Such a model
        never trained on the case it judges, though its epoch was chosen by it among others, and it trained on
        this fold's validation part; with `late.nested`, or where there is but one fold, the training part is
        split again instead: neither is so then. Empty where the training part is too small to be split again.
        """
        own = next(fold for fold in self.folds if fold.index == key.fold)
        others = [fold for fold in self.folds if fold.index != key.fold]
        validated = {study_id for fold in others for study_id in fold.validation}
        base = replace(key, model=need)
        if set(own.train) <= validated and not self.config.late.nested:
            return tuple(replace(base, fold=fold.index) for fold in others)
        return tuple(replace(base, part=part) for part in range(len(self._nested(own))))

    def _nested(self, fold: Fold) -> tuple[Fold, ...]:
        return nested_folds(fold, self.labels, self.patients, parts=self.config.late.nested_parts)


def cell_needs(key: CellKey, data: GridData) -> set[CellKey]:
    """The cells that a cell starts from."""
    row = model_row(key.model)
    needs = {replace(key, model=need) for need in row.needs}
    if row.stacked:
        needs |= {cell for need in row.needs for cell in data.out_of_fold(key, need)}
    return needs


def with_cell_needs(keys: Iterable[CellKey], data: GridData) -> list[CellKey]:
    """These cells and all that they start from, each once, needs before those who need them."""
    ordered: dict[CellKey, None] = {}

    def add(key: CellKey) -> None:
        if key not in ordered:
            for need in sorted(cell_needs(key, data)):
                add(need)
            ordered[key] = None

    for key in keys:
        add(key)
    return list(ordered)


class Digests:
    """The digests of a run's cells, each worked out once."""

    def __init__(self, data: GridData) -> None:
        self._data = data
        self._settings = data.config.model_dump(mode="json")
        self._known: dict[CellKey, str] = {}

    def __call__(self, key: CellKey) -> str:
        """Of all that decides a cell's numbers: its settings, its fold, the data, and what it starts from."""
        if key not in self._known:
            self._known[key] = self._digest(key)
        return self._known[key]

    def _digest(self, key: CellKey) -> str:
        data, row = self._data, model_row(key.model)
        parts = {name: self._settings[name] for name in settings_of(row)}
        fold = data.fold(key)
        needs = sorted(self(need) for need in cell_needs(key, data))
        members = [fold.train, fold.validation, fold.test]
        own = [asdict(row.variant), data.config.options.get(row.base)]
        return digest(CELL_FORM, str(key), parts, own, members, data.fingerprint, data.config.threads, needs)
