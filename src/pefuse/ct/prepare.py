"""Prepare the scans of a cohort: every study to the model's grid, in parallel, going on where it stopped.

Each study leaves a record when it is done; tables are gathered from records at the end. So a Ctrl-C, a crash or a
full disk costs the studies in progress and nothing else.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import pandas as pd

from pefuse.ct.prepared import QUARANTINE_COLUMNS, TABLE_COLUMNS, PreparedScans, load_prepared, volume_path
from pefuse.ct.records import Record, Refusal, read_record, write_record
from pefuse.ct.reports import SeriesReport
from pefuse.ct.resample import check_grid
from pefuse.ct.rules import ScanRules, rules_of
from pefuse.ct.signature import source_signature
from pefuse.ct.worker import Task
from pefuse.errors import CohortError, StorageError, UsageError
from pefuse.machine import allowed_cores
from pefuse.storage import atomic_file, write_json
from pefuse.types import Cohort, FieldOfView, Progress
from pefuse.workers import TaskFailedError, Worker, Workers, WorkerTimedOutError

__all__ = ["prepare", "prepared_folder"]

STUDY_LIMIT_SECONDS = 900.0  # a hundred times what a large compressed series takes on a slow disk
SCRATCH = ".unpacked"  # within the prepared folder: the system's own place may be small, and outlives a killed run
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_EXPORT_AGAIN = "Leave the study out, or export it again, uncompressed if its compression is unusual."


@dataclass(frozen=True, kw_only=True)
class View:
    """What of each scan is prepared, and on how many voxels a side."""

    grid: int
    field_of_view: FieldOfView
    rules: ScanRules


def prepare(
    cohort: Cohort,
    *,
    out: Path | None = None,
    grid: int = 128,
    field_of_view: FieldOfView = "whole",
    rules: ScanRules | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> PreparedScans:
    """Bring every study's scan to `grid` voxels a side and list those that cannot be, with the reason.

    Args:
        out: where to; by default `prepared_folder`.
        field_of_view: the whole scan, as in the paper, or the box around the lungs (ct/lungs.py).
        rules: which series to prefer and which repairs not to make; by default the cohort's own (ct/rules.py).
        jobs: studies at once; by default the cores that this process may use.
        progress: called with "scans", how many are done, and of how many.

    Returns:
        The prepared folder, opened. A study whose source and settings have not changed is not read again.

    Raises:
        UsageError: a grid or number of jobs that is not possible, rules that are none, or a folder that holds
            something else.
        CohortError: a study_id that cannot name a file.
        StorageError: the disk is full or the folder cannot be written.
    """
    check_grid((grid, grid, grid))
    if jobs is not None and jobs < 1:
        raise UsageError("At least one job is needed.")
    _check_names(cohort)
    if field_of_view not in get_args(FieldOfView):
        raise UsageError(f"The field of view is {' or '.join(get_args(FieldOfView))}.")
    view = View(grid=grid, field_of_view=field_of_view, rules=rules or rules_of(cohort.folder))
    folder = out or prepared_folder(cohort, grid=grid, field_of_view=field_of_view)
    _refuse_other_content(folder)
    _make_folders(folder)
    scans = {
        study_id: ct
        for study_id in map(str, cohort.studies.index)
        if (ct := cohort.study(study_id).ct) is not None
    }
    try:
        records = _prepare_all(scans, folder, view, jobs or allowed_cores(), progress or _silent)
    finally:
        _remove_partial_files(folder)
    _write_tables(folder, list(map(str, cohort.studies.index)), records, view)
    return load_prepared(folder)


def prepared_folder(cohort: Cohort, *, grid: int, field_of_view: FieldOfView = "whole") -> Path:
    """Where a cohort's scans go unless another folder is named: `prepared`, `prepared-32`, `prepared-32-lungs`."""
    grid_part = "" if grid == 128 else f"-{grid}"
    view_part = "" if field_of_view == "whole" else f"-{field_of_view}"
    return cohort.folder / f"prepared{grid_part}{view_part}"


def _prepare_all(
    scans: dict[str, Path], folder: Path, view: View, jobs: int, progress: Progress
) -> dict[str, Record]:
    """The first error that concerns all studies stops all."""
    jobs = max(1, min(jobs, len(scans)))
    records = {}
    with Workers(jobs, "pefuse.ct.worker.main") as workers:
        futures = {
            workers.submit(partial(_prepare_one, study_id, scan, folder, view)): study_id
            for study_id, scan in scans.items()
        }
        progress("scans", 0, len(scans))
        for future in as_completed(futures):
            records[futures[future]] = future.result()
            progress("scans", len(records), len(scans))
    return records


def _prepare_one(study_id: str, scan: Path, folder: Path, view: View, worker: Worker) -> Record:
    signature = source_signature(scan)
    record_path = folder / "records" / f"{study_id}.json"
    volume = volume_path(folder, study_id)
    known = read_record(record_path)
    if known is not None and _still_holds(known, signature, view, volume):
        return known
    task = Task(
        scan=str(scan),
        scratch=str(folder / SCRATCH),
        volume=str(volume),
        record=str(record_path),
        signature=signature,
        grid=view.grid,
        field_of_view=view.field_of_view,
        rules=view.rules,
    )
    try:
        worker.do(task, limit_seconds=STUDY_LIMIT_SECONDS)
    except TaskFailedError as failure:
        write_record(record_path, _lost(task, failure))
        volume.unlink(missing_ok=True)
    record = read_record(record_path)
    assert record is not None
    return record


def _still_holds(known: Record, signature: str, view: View, volume: Path) -> bool:
    seen = (known.signature, known.grid, known.field_of_view, known.rules)
    if seen != (signature, view.grid, view.field_of_view, view.rules.fingerprint) or not known.final:
        return False
    return known.status == "refused" or (volume.is_file() and volume.stat().st_size > 2 * view.grid**3)


def _lost(task: Task, failure: TaskFailedError) -> Record:
    if isinstance(failure, WorkerTimedOutError):
        step, reason = "time", f"Reading it took more than {STUDY_LIMIT_SECONDS:g} seconds."
    else:
        step, reason = "crash", "Reading it crashed the process that did (a decoder, or memory ran out)."
    refusal = Refusal(step=step, reason=reason, remedy=_EXPORT_AGAIN)
    report = SeriesReport(source="DICOM").as_json()
    return Record(
        signature=task.signature,
        grid=task.grid,
        field_of_view=task.field_of_view,
        rules=task.rules.fingerprint,
        status="refused",
        report=report,
        refusal=refusal,
    )


def _check_names(cohort: Cohort) -> None:
    unsafe = sum(not _SAFE_NAME.fullmatch(str(study_id)) for study_id in cohort.studies.index)
    if unsafe:
        raise CohortError(
            f"{unsafe} study_ids cannot name a file: use up to 128 letters, digits, dots, dashes and underscores, "
            "a letter or digit first."
        )


def _refuse_other_content(folder: Path) -> None:
    """Refuse a folder that holds anything but prepared scans, so that nothing is mixed with them."""
    if folder.is_dir() and not (folder / "records").is_dir() and any(folder.iterdir()):
        raise UsageError("The folder for the prepared scans holds something else: name a new one.")
    if (folder / "studies.csv").exists() or (folder / "studies.parquet").exists():
        raise UsageError("The folder for the prepared scans holds a cohort: name a new one.")


def _make_folders(folder: Path) -> None:
    try:
        for name in ("volumes", "records", SCRATCH):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError("The folder for the prepared scans cannot be made: choose another one.") from error


def _remove_partial_files(folder: Path) -> None:
    """A worker that is killed leaves what it unpacked and the file it was writing, under a name nothing reads."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    for partial_file in (*(folder / "volumes").glob(".partial-*"), *(folder / "records").glob(".partial-*")):
        partial_file.unlink(missing_ok=True)


def _write_tables(folder: Path, study_ids: list[str], records: dict[str, Record], view: View) -> None:
    rows = {study_id: _row(records.get(study_id), view) for study_id in study_ids}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(TABLE_COLUMNS)).rename_axis("study_id")
    refused = [(study_id, record.refusal) for study_id, record in records.items() if record.refusal is not None]
    refused.sort(key=lambda item: study_ids.index(item[0]))
    quarantine = pd.DataFrame(
        [{"study_id": study_id, **asdict(refusal)} for study_id, refusal in refused],
        columns=list(QUARANTINE_COLUMNS),
    )
    reports = {study_id: records[study_id].report for study_id in study_ids if study_id in records}
    write_json(folder / "series_report.json", reports)
    _write(folder / "quarantine.csv", partial(quarantine.to_csv, index=False))
    _write(folder / "volumes.parquet", table.to_parquet)  # last: its presence says that all is there


def _row(record: Record | None, view: View) -> list[object]:
    if record is None:
        return ["no scan", view.grid, view.field_of_view, [], [], [], "", "", "", ""]
    kept = next((entry["series"] for entry in record.report["entries"] if entry["kept"]), "")
    return [
        record.status,
        record.grid,
        record.field_of_view,
        list(record.affine),
        list(record.original_shape),
        list(record.original_spacing_mm),
        kept,
        "; ".join(record.report["repairs"]),
        record.checksum,
        record.signature,
    ]


def _write(path: Path, write: Callable[[Path], object]) -> None:
    with atomic_file(path) as partial_file:
        write(partial_file)


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""
