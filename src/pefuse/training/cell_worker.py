"""The process that trains cells: it gets the run's data once, then one cell after another.

A process of its own, so that a crash (for want of memory, most often) costs its cell and not the run.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric

from pefuse.errors import PefuseError, StorageError
from pefuse.models.zoo import model_row
from pefuse.storage import disk_error
from pefuse.training.cells import CellKey, CellStore
from pefuse.training.data import ArrayScans
from pefuse.training.folddata import FoldData
from pefuse.training.griddata import GridData
from pefuse.training.recipes import CellContext, train_cell
from pefuse.training.run_log import log_event
from pefuse.workers import received, serve

__all__ = ["CellTask", "main", "shown_error"]


@dataclass(frozen=True, kw_only=True)
class CellTask:
    """A cell to train, and the digest to keep it under."""

    key: CellKey
    digest: str


def main() -> None:
    """Train each cell that the parent sends, after the data."""
    serve(_begin)


def _begin() -> Callable[[CellTask], dict[str, Any]]:
    data: GridData = received()
    # A worker uses the same number of threads whatever else runs: it decides the order of sums.
    torch.set_num_threads(data.threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    return _CellTrainer(data).answer


@dataclass
class _CellTrainer:
    data: GridData
    folds: dict[tuple[int, int], FoldData] = field(default_factory=dict)
    scans: ArrayScans | None = None

    def answer(self, task: CellTask) -> dict[str, Any]:
        """Train and keep a cell; the answer's `error` says what went wrong, "" = nothing."""
        try:
            self._train(task)
        except Exception as error:  # one cell's failure must not stop the others: it is counted and shown
            log_event(self.data.run, "cell failed", cell=str(task.key), error=type(error).__name__)
            if isinstance(error, StorageError) or disk_error(error):
                raise  # it concerns all cells
            return {"error": shown_error(error), "details": traceback.format_exc()}
        return {"error": "", "details": ""}

    def _train(self, task: CellTask) -> None:
        started = time.perf_counter()
        data = self.data
        store = CellStore(data.run)
        context = CellContext(
            config=data.config,
            data=self._fold_data(task.key),
            scores=data.scores,
            store=store,
            fabric=Fabric(accelerator="auto", devices=1),
            out_of_fold=self._out_of_fold(task.key),
            followed=data.followed(task.key),
            pretrained=data.pretrained,
        )
        result = train_cell(task.key, context)
        seconds = time.perf_counter() - started
        store.save(task.key, result, cell_digest=task.digest, seconds=seconds)
        log_event(data.run, "cell finished", cell=str(task.key), seconds=round(seconds, 3))

    def _out_of_fold(self, key: CellKey) -> dict[str, tuple[CellKey, ...]]:
        row = model_row(key.model)
        return {need: self.data.out_of_fold(key, need) for need in row.needs} if row.stacked else {}

    def _fold_data(self, key: CellKey) -> FoldData:
        """This worker's view of a fold, made once."""
        split = (key.fold, key.part)
        if split not in self.folds:
            data = self.data
            self.folds = {  # one fold at a time: fitted features of all would add up
                split: FoldData(
                    fold=data.fold(key),
                    labels=data.labels,
                    record=data.record,
                    scans=self._held_scans(),
                    has_scan=frozenset(data.scans.available) if data.scans is not None else frozenset(),
                    window_hu=data.config.scan.window_hu,
                    preparation_config=data.config.record,
                )
            }
        return self.folds[split]

    def _held_scans(self) -> ArrayScans | None:
        prepared = self.data.scans
        if prepared is None:
            return None
        if self.scans is None:
            wanted = [study_id for study_id in prepared.available if study_id in self.data.labels.index]
            self.scans = ArrayScans(prepared, wanted, bytes_each=2 * prepared.grid**3)
        return self.scans


def shown_error(error: Exception) -> str:
    """A failure in words: our own errors whole; of any other its kind alone, since its text may hold a path."""
    return str(error) if isinstance(error, PefuseError) else type(error).__name__
