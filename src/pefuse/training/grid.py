"""Run the cells of a comparison: needs first, side by side where there are cores, each at most once.

Workers are fresh processes, so a crash of one costs its cell and not the run. A worker's cell uses `threads`
threads whatever else runs, because the number of threads decides the order of sums: the same seed gives the same
bits on one core and on sixteen.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch
from lightning_fabric import Fabric

from pefuse.ct import PreparedScans
from pefuse.ehr import RawRecord
from pefuse.errors import PefuseError, RunError
from pefuse.machine import allowed_cores
from pefuse.models.zoo import model_row
from pefuse.training.cells import CellKey, CellStore, digest
from pefuse.training.config import RunConfig
from pefuse.training.data import ArrayScans
from pefuse.training.folddata import FoldData
from pefuse.training.recipes import CellContext, train_cell
from pefuse.training.run_log import log_event
from pefuse.types import Fold, Progress

__all__ = ["SETTINGS", "GridData", "cell_digest", "run_cells", "shown_error"]


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


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    key: CellKey
    error: str = ""


def run_cells(keys: Sequence[CellKey], data: GridData, *, progress: Progress | None = None) -> None:
    """Train every cell that is not there yet.

    Raises:
        RunError: some cells failed; the others are finished and kept.
    """
    store = CellStore(data.run)
    todo = [key for key in keys if not store.finished(key, cell_digest(key, data))]
    report = progress or (lambda what, done, total: None)
    report("models", len(keys) - len(todo), len(keys))
    failed: list[_Outcome] = []
    threads = data.config.threads or allowed_cores()
    workers = max(1, min(allowed_cores() // threads, len(todo)))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_start_worker, initargs=(data, threads)
    ) as pool:
        try:
            waiting, running = list(todo), dict[Future[_Outcome], CellKey]()
            unfinished = set(todo)
            while waiting or running:
                ready = [key for key in waiting if not _needs(key) & unfinished]
                for key in ready:
                    waiting.remove(key)
                    running[pool.submit(_run_cell, key)] = key
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key = running.pop(future)
                    unfinished.discard(key)
                    outcome = _outcome(future, key)
                    if outcome.error:
                        failed.append(outcome)
                    report("models", len(keys) - len(unfinished), len(keys))
        except BaseException:
            _stop(pool)
            raise
    if failed:
        first = min(failed, key=lambda outcome: outcome.key)
        raise RunError(
            f"{len(failed)} of {len(keys)} cells failed, the others are finished and kept. "
            f"First: {first.key}: {first.error.rstrip('.')}. Mend it and run the same command again."
        )


def cell_digest(key: CellKey, data: GridData) -> str:
    """Of everything that decides a cell's numbers: its settings, its fold, the data, and what it starts from."""
    row = model_row(key.model)
    settings = data.config.model_dump(mode="json")
    parts = {name: settings[name] for name in SETTINGS[row.kind]}
    fold = next(fold for fold in data.folds if fold.index == key.fold)
    needs = sorted(cell_digest(need, data) for need in _needs(key))
    members = [fold.train, fold.validation, fold.test]
    return digest(
        CELL_FORM, str(key), parts, dict(row.options), members, data.fingerprint, data.config.threads, needs
    )


# Raised when a cell keeps something that older ones lack, or is computed otherwise: those are then trained again.
CELL_FORM = 2

# The parts of a run's settings that decide what a kind of model learns.
SETTINGS = {
    "score": ("score_missing",),
    "trees": ("record", "xgboost"),
    "record": ("record", "tabnet"),
    "scan": ("scan", "sanet"),
    "late": (),
    "intermediate": ("scan", "record", "intermediate"),
}


def _needs(key: CellKey) -> set[CellKey]:
    return {replace(key, model=need) for need in model_row(key.model).needs}


def _outcome(future: Future[_Outcome], key: CellKey) -> _Outcome:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RunError(
            f"A worker died while {key} or a neighbour was at work, most likely for want of memory. Finished "
            "cells are kept: run again with a smaller batch or grid, or one cell at a time (`--set threads=0`)."
        ) from error


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: their unfinished cells leave nothing behind."""
    pool.shutdown(wait=False, cancel_futures=True)
    for process in multiprocessing.active_children():
        process.terminate()


# --- in a worker -------------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    data: GridData
    folds: dict[int, FoldData] = field(default_factory=dict)


_worker: _Worker | None = None


def _start_worker(data: GridData, threads: int) -> None:
    global _worker  # a process pool hands state to its workers in no other way
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    _worker = _Worker(data)


def _end_with_parent() -> None:
    """A parent that is killed ends nobody: without this its workers would wait on and hold their memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run_cell(key: CellKey) -> _Outcome:
    assert _worker is not None
    started = time.perf_counter()
    data = _worker.data
    store = CellStore(data.run)
    try:
        context = CellContext(
            config=data.config,
            data=_fold_data(key.fold),
            scores=data.scores,
            store=store,
            fabric=Fabric(accelerator="auto", devices=1),
        )
        result = train_cell(key, context)
        seconds = time.perf_counter() - started
        store.save(key, result, cell_digest=cell_digest(key, data), seconds=seconds)
        log_event(data.run, "cell finished", cell=str(key), seconds=round(seconds, 3))
    except Exception as error:  # one cell's failure must not stop the others: it is counted and shown
        log_event(data.run, "cell failed", cell=str(key), error=type(error).__name__)
        return _Outcome(key=key, error=shown_error(error))
    return _Outcome(key=key)


def shown_error(error: Exception) -> str:
    """A failure in words: our own errors whole; of any other its kind alone, since its text may hold a path."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, PefuseError) else kind


def _fold_data(index: int) -> FoldData:
    """This worker's view of a fold, made once."""
    assert _worker is not None
    if index not in _worker.folds:
        data = _worker.data
        scans = _held_scans(data)
        _worker.folds = {  # one fold at a time: fitted features of all would add up
            index: FoldData(
                fold=next(fold for fold in data.folds if fold.index == index),
                labels=data.labels,
                record=data.record,
                scans=scans,
                has_scan=frozenset(data.scans.available) if data.scans is not None else frozenset(),
                window_hu=data.config.scan.window_hu,
                preparation_config=data.config.record,
            )
        }
    return _worker.folds[index]


_scans: list[ArrayScans] = []


def _held_scans(data: GridData) -> ArrayScans | None:
    if data.scans is None:
        return None
    if not _scans:
        wanted = [study_id for study_id in data.scans.available if study_id in data.labels.index]
        _scans.append(ArrayScans(data.scans, wanted, bytes_each=2 * data.scans.grid**3))
    return _scans[0]
