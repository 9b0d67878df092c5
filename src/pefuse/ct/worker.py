"""The process that reads scans for `prepare`: tasks come in, volumes and records go to disk.

A process of its own, since a codec may crash on a broken file and must not take the others with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pefuse.ct.prepared import voxel_checksum
from pefuse.ct.records import Record, Refusal, write_record
from pefuse.ct.rules import ScanRules
from pefuse.ct.scan import ScanPlan, plan_scan, read_best
from pefuse.ct.streaming import GridScan, read_planned_to_grid
from pefuse.ct.unpacking import opened
from pefuse.errors import (
    GeometryError,
    PlausibilityError,
    ScanAccessError,
    ScanError,
    ScanReadError,
    SeriesError,
    StorageError,
)
from pefuse.machine import limit_memory
from pefuse.storage import atomic_file, disk_error
from pefuse.types import FieldOfView, Volume
from pefuse.workers import serve

__all__ = ["Task", "main", "prepare_study"]

MEMORY_LIMIT_BYTES = 8 << 30  # the largest scan in float and its copies; a crafted one could ask for any amount
_STEPS = {
    ScanReadError: "read",
    ScanAccessError: "access",
    SeriesError: "series",
    GeometryError: "geometry",
    PlausibilityError: "plausibility",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One study to prepare: where its scan lies, where an archive is unpacked, where volume and record go."""

    scan: str
    scratch: str
    volume: str
    record: str
    signature: str
    grid: int
    field_of_view: FieldOfView
    rules: ScanRules


def main() -> None:
    """Prepare each study that the parent sends; what there is to tell stands in its record."""
    limit_memory(MEMORY_LIMIT_BYTES)
    serve(lambda: _done)


def _done(task: Task) -> dict[str, str]:
    prepare_study(task)
    return {}


def prepare_study(task: Task) -> Record:
    """Write one study's volume, then its record; where the scan is refused, the record alone.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    path = Path(task.scan)
    plan = ScanPlan.nothing(path)
    try:
        with opened(path, within=Path(task.scratch)) as found:
            plan = plan_scan(found, task.rules)
            scan, plan = read_best(plan, partial(_read, task))
            if plan.refusal is not None:
                raise plan.refusal
            assert scan is not None
            record = _ready(task, scan)
    except StorageError:
        raise
    except ScanError as error:
        record = _refused(task, plan, error)
    except MemoryError:
        record = _refused(task, plan, ScanError("Reading it needs more memory than there is."))
    except Exception as error:  # a fault of ours: it costs this study, not the run
        reason = f"Reading it failed in a way that was not foreseen ({type(error).__name__})."
        record = _refused(task, plan, ScanError(reason, remedy="Please report this to the developers."))
    write_record(Path(task.record), record)
    if record.status == "refused":
        Path(task.volume).unlink(missing_ok=True)
    return record


def _read(task: Task, plan: ScanPlan) -> GridScan:
    return read_planned_to_grid(plan, grid=task.grid, field_of_view=task.field_of_view, threads=1)


def _ready(task: Task, scan: GridScan) -> Record:
    prepared = scan.volume
    _write_volume(Path(task.volume), prepared)
    return Record(
        signature=task.signature,
        grid=task.grid,
        field_of_view=task.field_of_view,
        rules=task.rules.fingerprint,
        status="ready",
        report=scan.report.as_json(),
        affine=tuple(prepared.affine.ravel().tolist()),
        original_shape=scan.original_shape,
        original_spacing_mm=scan.original_spacing_mm,
        checksum=voxel_checksum(prepared.hu),
    )


def _write_volume(path: Path, volume: Volume) -> None:
    try:
        with atomic_file(path) as partial:
            np.save(partial, volume.hu, allow_pickle=False)
    except OSError as error:  # NumPy tells of a full disk without the system's error number
        raise disk_error(error) or StorageError(
            "A prepared volume could not be written whole: free some disk space and run the command again."
        ) from error


def _refused(task: Task, plan: ScanPlan, error: ScanError) -> Record:
    refusal = Refusal(step=_STEPS.get(type(error), "internal"), reason=error.reason, remedy=error.remedy)
    report = plan.report.as_json()
    return Record(
        signature=task.signature,
        grid=task.grid,
        field_of_view=task.field_of_view,
        rules=task.rules.fingerprint,
        status="refused",
        report=report,
        refusal=refusal,
    )
