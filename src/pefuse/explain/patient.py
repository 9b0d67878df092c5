"""One new patient: from files to the risk, and to where in the scan and in the record it comes from.

explanation.json    risk, threshold, the members' risks, features with values
scan.nii.gz         the scan that was read, HU, in the scanner's geometry
heat.nii.gz         the heat in the same geometry, 0 to 255 (255 = the hottest voxel)
occlusion.nii.gz    the same by occlusion, where asked for
slices.png          slices where the heat is
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pefuse.ct import ScanRules, cut_to_lungs, read_scan, to_grid
from pefuse.ehr import RawRecord
from pefuse.errors import ScanAccessError, ScanError, UsageError
from pefuse.explain.gradcam import HeatMethod
from pefuse.explain.heat import find_heat, find_occlusion
from pefuse.explain.importance import NotExplained
from pefuse.explain.patient_record import STUDY_ID, PatientRecord, read_patient_record
from pefuse.explain.scanner import heat_bytes, to_scanner, write_nifti
from pefuse.explain.shares import feature_shares
from pefuse.explain.slices import draw_slices, hot_slices
from pefuse.models.bundle import Bundle
from pefuse.storage import atomic_folder, write_json
from pefuse.types import Volume

__all__ = ["PatientFiles", "explain_patient"]


@dataclass(frozen=True, kw_only=True)
class PatientFiles:
    """Where a patient's data lie.

    `ct`: as the column ct of a cohort (folder of DICOM files, archive, NIfTI, NRRD, MHA or NPY). `record`: events
    of this one patient (columns of MEDS, CSV or parquet), or a table with one row of ready features. `index_time`:
    when the scan was taken; events at or after it are not looked at. `codes`: what local codes mean, as a cohort's
    codes.csv.
    """

    ct: Path | None = None
    record: Path | None = None
    index_time: str = ""
    age_years: float | None = None
    sex: str = ""
    codes: Path | None = None


def explain_patient(
    bundle: Bundle,
    files: PatientFiles,
    out: Path,
    *,
    method: HeatMethod = "layer-cam",
    layer: str = "",
    occlusion: bool = False,
) -> dict[str, Any]:
    """Predict one patient, explain the risk, and write the folder `out`.

    Returns:
        The content of explanation.json.

    Raises:
        UsageError: something that the model needs is not given, or what is given cannot be.
        ScanError: the scan cannot become a right volume.
        RecordError, CohortError: the record cannot be read, or is not of one patient.
        StorageError: `out` holds something already, or the disk is full.
    """
    given = _record(bundle, files) if bundle.needs_record else None
    record = given.record if given is not None else None
    scan, grid = _scan(bundle, files) if bundle.needs_scan else (None, None)
    hu = grid.hu[None].astype(np.int16) if grid is not None else None
    predicted = bundle.predict([STUDY_ID], scans=hu, record=record)
    content = _content(bundle, predicted.members, float(predicted.ensemble["risk"].iloc[0]), record)
    content["record_notes"] = list(given.notes) if given is not None else []
    with atomic_folder(out) as folder:
        if scan is not None and grid is not None and hu is not None:
            heat = find_heat(bundle, [STUDY_ID], scans=hu, record=record, method=method, layer=layer)
            content["heat"] = {"method": heat.method, "layer": heat.layer, "through": heat.through}
            mapped = to_scanner(heat.of(STUDY_ID), grid.affine, scan)
            write_nifti(folder / "scan.nii.gz", scan.hu, scan.affine)
            write_nifti(folder / "heat.nii.gz", heat_bytes(mapped), scan.affine)
            hidden = None
            if occlusion:
                found = find_occlusion(bundle, [STUDY_ID], scans=hu, record=record)
                hidden = to_scanner(found.of(STUDY_ID), grid.affine, scan)
                write_nifti(folder / "occlusion.nii.gz", heat_bytes(hidden), scan.affine)
            slices = hot_slices(mapped)
            content["heat"]["slices"] = slices
            note = "The model was trained on simulated data" if bundle.about.cohort.simulated else ""
            draw_slices(
                folder / "slices.png",
                scan.hu,
                mapped,
                slices,
                spacing_mm=scan.spacing_mm,
                occlusion=hidden,
                note=note,
            )
        write_json(folder / "explanation.json", content)
    return content


def _scan(bundle: Bundle, files: PatientFiles) -> tuple[Volume, Volume]:
    """The scan as it was read, and what the model sees of it on its grid."""
    if files.ct is None:
        raise UsageError(f"The model {bundle.model} reads a scan: give one with --ct.")
    assert bundle.grid is not None
    try:
        scan, _ = read_scan(files.ct, rules=ScanRules())
    except ScanError as error:  # its advice speaks of a cohort's studies
        raise type(error)(error.reason, **_advice(error)) from error
    seen = cut_to_lungs(scan) if bundle.field_of_view == "lungs" else scan
    return scan, to_grid(seen, grid=bundle.grid)


def _advice(error: ScanError) -> dict[str, str]:
    return {} if isinstance(error, ScanAccessError) else {"remedy": "Give another scan with --ct."}


def _record(bundle: Bundle, files: PatientFiles) -> PatientRecord:
    if files.record is None:
        raise UsageError(f"The model {bundle.model} reads the record: give it with --ehr.")
    return read_patient_record(
        bundle,
        files.record,
        index_time=files.index_time,
        age_years=files.age_years,
        sex=files.sex,
        codes=files.codes,
    )


def _content(bundle: Bundle, members: pd.DataFrame, risk: float, record: RawRecord | None) -> dict[str, Any]:
    youden = bundle.thresholds.get("youden")
    told = feature_shares(bundle, [STUDY_ID], record) if record is not None else {}
    features = {} if isinstance(told, NotExplained) else told
    return {
        "notice": bundle.about.notice,
        "model": bundle.model,
        "bundle_sha256": bundle.sha256,
        "simulated_training": bundle.about.cohort.simulated,
        "horizon_days": bundle.about.cohort.horizon_days,
        "outcome": bundle.about.cohort.outcome,
        "risk": round(risk, 6),
        "threshold": None if youden is None else youden.value,
        "called": None if youden is None else risk >= youden.value,
        "member_risks": [round(float(one), 6) for one in members["risk"]],
        "features": [feature.to_json() for feature in features.get(STUDY_ID, [])],
    }
