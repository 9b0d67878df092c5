"""What preparing the scans found out about each study, gathered from the prepared folder's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pefuse.ct import PreparedScans
from pefuse.errors import RunError

__all__ = ["LeftOut", "StudyFindings", "collect_findings"]

_USABLE = "usable, but"  # how ct/series.py begins the reason of a series that could have been taken


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A series, or files, of a study that were not taken, and why."""

    what: str
    reason: str

    @property
    def usable(self) -> bool:
        return self.reason.startswith(_USABLE)


@dataclass(frozen=True, kw_only=True)
class StudyFindings:
    """One study's scan. `shape` and `spacing_mm` are the original's, `(Z, Y, X)`; both are empty unless ready.

    `kernel` is soft, sharp or unknown; `contrast` None where nothing tells. `step`, `reason` and `remedy` are the
    quarantine's.
    """

    study_id: str
    status: Literal["ready", "refused", "no scan"]
    source: str = ""
    series: str = ""
    kernel: str = "unknown"
    contrast: bool | None = None
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    repairs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = field(default=(), repr=False)
    step: str = ""
    reason: str = ""
    remedy: str = ""

    @property
    def slice_spacing_mm(self) -> float:
        return self.spacing_mm[0]

    @property
    def coverage_mm(self) -> float:
        """Along the body, from the first slice's outer face to the last one's."""
        return self.shape[0] * self.spacing_mm[0]


def collect_findings(scans: PreparedScans) -> list[StudyFindings]:
    """One a study, in the cohort's order.

    Raises:
        RunError: series_report.json is missing or damaged.
    """
    reports = _reports(scans)
    refusals = scans.quarantine.set_index("study_id").to_dict("index")
    return [
        _findings(str(study_id), row, reports.get(str(study_id), {}), refusals.get(study_id, {}))
        for study_id, row in scans.table.iterrows()
    ]


def _reports(scans: PreparedScans) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads((scans.folder / "series_report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError("The prepared scans' series_report.json is damaged: run `pefuse check` again.") from error
    reports: dict[str, dict[str, Any]] = content
    return reports


def _findings(study_id: str, row: Any, report: Mapping[str, Any], refusal: Mapping[Any, Any]) -> StudyFindings:
    entries = report.get("entries", [])
    kept: Mapping[str, Any] = next((entry for entry in entries if entry["kept"]), {})
    return StudyFindings(
        study_id=study_id,
        status=row["status"],
        source=report.get("source", ""),
        series=kept.get("series", ""),
        kernel=kept.get("kernel", "unknown"),
        contrast=kept.get("contrast"),
        shape=tuple(int(side) for side in row["original_shape"]),
        spacing_mm=tuple(float(spacing) for spacing in row["original_spacing_mm"]),
        repairs=tuple(report.get("repairs", [])),
        warnings=tuple(report.get("warnings", [])),
        left_out=_left_out(entries, report.get("other_files", {})),
        step=refusal.get("step", ""),
        reason=refusal.get("reason", ""),
        remedy=refusal.get("remedy", ""),
    )


def _named(entry: Mapping[str, Any]) -> str:
    return entry["series"][:8] if entry["number"] is None else f"{entry['number']} ({entry['series'][:8]})"


def _left_out(entries: list[dict[str, Any]], other_files: Mapping[str, int]) -> tuple[LeftOut, ...]:
    series = [
        LeftOut(
            what=f"series {_named(entry)}: {entry['slices']} images of {entry['rows']}×{entry['columns']}, "
            f"{entry['plane']}, {entry['kernel']} kernel",
            reason=entry["reason"],
        )
        for entry in entries
        if not entry["kept"]
    ]
    files = [
        LeftOut(what=f"{count} {'file' if count == 1 else 'files'}", reason=what)
        for what, count in other_files.items()
    ]
    return (*series, *files)
