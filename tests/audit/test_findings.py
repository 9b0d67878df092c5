"""Findings: what the prepared folder's tables say of each study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pefuse.audit.findings import collect_findings
from pefuse.ct import PreparedScans
from pefuse.errors import RunError


def entry(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"series": "0123456789abcdef", "number": 3, "slices": 300, "rows": 512, "columns": 512}
    return usual | {"plane": "axial", "kernel": "soft", "contrast": True, "kept": True, "reason": "kept"} | changes


def scans_of(folder: Path, report: Any) -> PreparedScans:
    (folder / "series_report.json").write_text(json.dumps(report), encoding="utf-8")
    ready = {"status": "ready", "original_shape": [300, 512, 512], "original_spacing_mm": [1.0, 0.7, 0.8]}
    refused = {"status": "refused", "original_shape": [], "original_spacing_mm": []}
    return PreparedScans(
        folder=folder,
        grid=128,
        field_of_view="whole",
        table=pd.DataFrame.from_dict({"a": ready, "b": refused}, orient="index"),
        quarantine=pd.DataFrame([{"study_id": "b", "step": "read", "reason": "Cut off.", "remedy": "Export."}]),
    )


def test_findings_hold_what_was_kept_and_what_was_left_out(tmp_path: Path) -> None:
    report = {
        "source": "DICOM",
        "entries": [entry(), entry(kept=False, kernel="sharp", reason="usable, but sharper")],
        "other_files": {"not DICOM": 2},
        "repairs": ["padding: 3 %"],
        "warnings": ["little contrast"],
    }

    ready, refused = collect_findings(scans_of(tmp_path, {"a": report, "b": {"source": "DICOM"}}))

    assert (ready.kernel, ready.contrast, ready.coverage_mm, ready.slice_spacing_mm) == ("soft", True, 300.0, 1.0)
    assert (ready.repairs, ready.warnings) == (("padding: 3 %",), ("little contrast",))
    assert [(one.usable, one.reason) for one in ready.left_out] == [
        (True, "usable, but sharper"),
        (False, "not DICOM"),
    ]
    assert (refused.step, refused.reason, refused.remedy) == ("read", "Cut off.", "Export.")


def test_a_report_without_warnings_is_one_with_none(tmp_path: Path) -> None:
    ready, _ = collect_findings(scans_of(tmp_path, {"a": {"source": "image file", "entries": []}}))

    assert ready.warnings == ()
    assert ready.contrast is None


def test_a_damaged_report_is_refused(tmp_path: Path) -> None:
    scans = scans_of(tmp_path, {})
    (tmp_path / "series_report.json").write_text("{", encoding="utf-8")

    with pytest.raises(RunError, match=r"series_report\.json"):
        collect_findings(scans)
