"""What a comparison would train, what of it is finished, and how long the rest may take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pefuse.ct import PreparedScans, load_prepared, prepared_folder
from pefuse.errors import RunError, UsageError
from pefuse.machine import allowed_cores
from pefuse.models.zoo import Row, model_row, with_needs
from pefuse.training.cells import CellKey, CellStore
from pefuse.training.config import RunConfig
from pefuse.training.gather import gather
from pefuse.training.griddata import Digests, GridData, with_cell_needs
from pefuse.training.run_folder import check_folder
from pefuse.types import Cohort

__all__ = ["Plan", "PlannedModel", "cell_keys", "plan_run", "scheduled"]


@dataclass(frozen=True, kw_only=True)
class PlannedModel:
    """One model: its cells, and the mean time of those that are finished; None = not known yet."""

    model: str
    cells: int
    finished: int
    seconds_each: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison before it is run. `workers` cells are trained side by side."""

    models: tuple[PlannedModel, ...]
    workers: int
    scans_prepared: bool

    @property
    def cells(self) -> int:
        return sum(model.cells for model in self.models)

    @property
    def finished(self) -> int:
        return sum(model.finished for model in self.models)

    @property
    def seconds_left(self) -> float:
        """Of the models whose time is known, so a lower bound where `unknown` is not empty."""
        work = [(model.cells - model.finished) * (model.seconds_each or 0.0) for model in self.models]
        return sum(work) / self.workers

    @property
    def unknown(self) -> tuple[str, ...]:
        """Models of which no cell is finished, so that nothing is known of their time."""
        return tuple(m.model for m in self.models if m.seconds_each is None and m.finished < m.cells)


def plan_run(cohort: Cohort, *, out: Path, config: RunConfig, pretrained: Path | None = None) -> Plan:
    """What `compare` with these arguments would do. Nothing is written, no scan is read.

    Raises:
        UsageError, CohortError: as `compare`.
    """
    check_folder(out, cohort)
    scans = _prepared(cohort, config)
    data = gather(cohort, out=out, config=config, pretrained=pretrained, prepared=lambda: scans)
    rows = with_needs(data.config.all_models)
    keys, digest, store = with_cell_needs(cell_keys(data, rows), data), Digests(data), CellStore(out)
    finished = {key for key in keys if store.finished(key, digest(key))}
    seconds = {key: _seconds(store, key) for key in keys}
    needs_scans = any(row.scan for row in rows)
    return Plan(
        models=tuple(_planned(row.name, keys, finished, seconds) for row in rows),
        workers=max(1, min(allowed_cores() // data.threads, len(keys) - len(finished))),
        scans_prepared=scans is not None or not needs_scans,
    )


def cell_keys(data: GridData, rows: Sequence[Row]) -> list[CellKey]:
    """Every model on every fold from every seed."""
    return [
        CellKey(model=row.name, seed=seed, fold=fold.index)
        for seed in data.config.seeds
        for fold in data.folds
        for row in rows
    ]


def scheduled(keys: Sequence[CellKey], data: GridData) -> list[CellKey]:
    """These cells and all that they start from; long ones first, so that no core waits for a late long one."""
    every = with_cell_needs(keys, data)
    return sorted(every, key=lambda key: (model_row(key.model).kind != "scan", key))


def _planned(
    model: str, keys: Sequence[CellKey], finished: set[CellKey], seconds: dict[CellKey, float | None]
) -> PlannedModel:
    own = [key for key in keys if key.model == model]
    known = [taken for key in own if (taken := seconds[key]) is not None]
    if not known:  # a variant takes about as long as its base and that base's other variants
        base = model_row(model).base
        known = [
            taken for key, taken in seconds.items() if taken is not None and model_row(key.model).base == base
        ]
    return PlannedModel(
        model=model,
        cells=len(own),
        finished=sum(key in finished for key in own),
        seconds_each=sum(known) / len(known) if known else None,
    )


def _seconds(store: CellStore, key: CellKey) -> float | None:
    """What training the cell took, with whatever settings; None where it never was trained."""
    try:
        manifest = json.loads((store.folder / str(key) / "manifest.json").read_text(encoding="utf-8"))
        return float(manifest["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _prepared(cohort: Cohort, config: RunConfig) -> PreparedScans | None:
    try:
        return load_prepared(
            prepared_folder(cohort, grid=config.scan.grid, field_of_view=config.scan.field_of_view)
        )
    except (UsageError, RunError):
        return None
