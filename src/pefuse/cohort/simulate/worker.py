"""The process that draws and writes scans for `simulate`, one patient after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pefuse.cohort.simulate.scan import ScanRequest, write_scan
from pefuse.workers import serve

__all__ = ["ScanTask", "main"]


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """One patient's scan, and the cohort's folder."""

    request: ScanRequest
    folder: Path


def main() -> None:
    """Write each scan that the parent asks for, and its mask."""
    serve(lambda: _write)


def _write(task: ScanTask) -> dict[str, str]:
    study_id = task.request.study_id
    write_scan(
        task.request,
        folder=task.folder / "scans" / study_id,
        truth_mask=task.folder / "truth" / f"{study_id}.nii.gz",
    )
    return {}
