"""Run the cells of a comparison: needs first, side by side where there are cores, each at most once.

A cell that fails takes with it only those that start from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial

from pefuse.machine import allowed_cores
from pefuse.training.cell_worker import CellTask
from pefuse.training.cells import CellKey, CellStore
from pefuse.training.griddata import Digests, GridData, cell_needs, with_cell_needs
from pefuse.types import Progress
from pefuse.workers import Worker, WorkerDiedError, Workers

__all__ = ["FailedCell", "run_cells"]

_DIED = (
    "The process that trained it died, most likely for want of memory: "
    "choose a smaller batch or grid, or one cell at a time (`--set threads=0`)."
)


@dataclass(frozen=True, kw_only=True)
class FailedCell:
    """A cell that was not trained. `details` is a traceback, for developers: it may hold paths."""

    key: CellKey
    error: str
    details: str = field(default="", repr=False)


def run_cells(
    keys: Sequence[CellKey], data: GridData, *, progress: Progress | None = None
) -> tuple[FailedCell, ...]:
    """Train every cell that is not there yet, and those that it starts from.

    Args:
        keys: in the order in which to begin those that can be begun.

    Returns:
        The cells that failed of themselves; those that start from them were not tried and are not listed.

    Raises:
        StorageError: the disk is full or the folder cannot be written. Finished cells are kept.
    """
    store = CellStore(data.run)
    keys, digest = with_cell_needs(keys, data), Digests(data)
    digests = {key: digest(key) for key in keys}
    needs = {key: cell_needs(key, data) for key in keys}
    todo = [key for key in keys if not store.finished(key, digests[key])]
    report = progress or (lambda what, done, total: None)
    report("models", len(keys) - len(todo), len(keys))
    if not todo:
        return ()
    count = max(1, min(allowed_cores() // data.threads, len(todo)))
    with Workers(count, "pefuse.training.cell_worker.main", threads=data.threads, first=data) as workers:
        return _run(todo, needs, digests, workers, lambda left: report("models", len(keys) - left, len(keys)))


def _run(
    todo: Sequence[CellKey],
    needs: Mapping[CellKey, set[CellKey]],
    digests: Mapping[CellKey, str],
    workers: Workers,
    on_left: Callable[[int], None],
) -> tuple[FailedCell, ...]:
    waiting, running = list(todo), dict[Future[FailedCell | None], CellKey]()
    unfinished = set(todo)
    failed: list[FailedCell] = []
    while waiting or running:
        for key in [key for key in waiting if not needs[key] & unfinished]:
            waiting.remove(key)
            running[workers.submit(partial(_train, CellTask(key=key, digest=digests[key])))] = key
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            key = running.pop(future)
            failure = future.result()
            if failure is None:
                unfinished.discard(key)
            else:
                failed.append(failure)
                waiting = _without_dependents(waiting, key, needs)
            on_left(len(waiting) + len(running))
    return tuple(failed)


def _without_dependents(
    waiting: Sequence[CellKey], failed: CellKey, needs: Mapping[CellKey, set[CellKey]]
) -> list[CellKey]:
    """Those that do not start from the failed cell, directly or through another."""
    lost, left = {failed}, list(waiting)
    while gone := [key for key in left if needs[key] & lost]:
        lost |= set(gone)
        left = [key for key in left if key not in lost]
    return left


def _train(task: CellTask, worker: Worker) -> FailedCell | None:
    try:
        answer = worker.do(task)
    except WorkerDiedError:
        return FailedCell(key=task.key, error=_DIED)
    return FailedCell(key=task.key, error=answer["error"], details=answer["details"]) if answer["error"] else None
