"""One new patient: from files to the risk, and to where in the scan and in the record it comes from.

explanation.json    risk, threshold, the members' risks, features with values
scan.nii.gz         the scan that was read, HU, in the scanner's geometry
heat.nii.gz         the heat in the same geometry, 0 to 255 (255 = the hottest voxel)
occlusion.nii.gz    the same by occlusion, where asked for
slices.png          slices where the heat is
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import TypeAdapter, ValidationError

from pefuse.cohort import load_cohort
from pefuse.ct import ScanRules, cut_to_lungs, read_scan, to_grid
from pefuse.ehr import FeatureOptions, RawRecord, extract
from pefuse.errors import BundleError, RecordError, UsageError
from pefuse.explain.gradcam import HeatMethod
from pefuse.explain.heat import find_heat, find_occlusion
from pefuse.explain.importance import NotExplained
from pefuse.explain.scanner import heat_bytes, to_scanner, write_nifti
from pefuse.explain.shares import feature_shares
from pefuse.explain.slices import draw_slices, hot_slices
from pefuse.models.bundle import Bundle
from pefuse.storage import atomic_folder, write_json
from pefuse.types import Volume

__all__ = ["PatientFiles", "explain_patient"]

STUDY_ID = "case"  # of the one study: nothing of the patient's own numbers is taken over


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
    record = _record(bundle, files) if bundle.needs_record else None
    scan, grid = _scan(bundle, files) if bundle.needs_scan else (None, None)
    hu = grid.hu[None].astype(np.int16) if grid is not None else None
    predicted = bundle.predict([STUDY_ID], scans=hu, record=record)
    content = _content(bundle, predicted.members, float(predicted.ensemble["risk"].iloc[0]), record)
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
    scan, _ = read_scan(files.ct, rules=ScanRules())
    seen = cut_to_lungs(scan) if bundle.field_of_view == "lungs" else scan
    return scan, to_grid(seen, grid=bundle.grid)


def _record(bundle: Bundle, files: PatientFiles) -> RawRecord:
    """The record of the one study, through a cohort folder of its own: one way in for all."""
    if files.record is None:
        raise UsageError(f"The model {bundle.model} reads the record: give it with --ehr.")
    if not files.record.is_file():
        raise RecordError("There is no file at the record's path: give one patient's events or features.")
    with tempfile.TemporaryDirectory(prefix="pefuse-") as name:
        folder = Path(name)
        _write_cohort(folder, files, bundle)
        return extract(load_cohort(folder), options=_options(bundle))


def _options(bundle: Bundle) -> FeatureOptions:
    try:
        return TypeAdapter(FeatureOptions).validate_python(bundle.about.config.get("features") or {})
    except ValidationError as error:
        raise BundleError("The bundle's settings of features cannot be read: make it again.") from error


def _write_cohort(folder: Path, files: PatientFiles, bundle: Bundle) -> None:
    assert files.record is not None
    table = _table(files.record)
    patient = 1
    if "subject_id" in table.columns:
        patient = _one_patient(table)
        if not files.index_time:
            raise UsageError("Events need the time of the scan, so that none after it is used: give --index-time.")
        table.to_parquet(folder / "events.parquet", index=False)
    else:
        if len(table) != 1:
            raise RecordError(f"The table of features has {len(table)} rows: it must have one, this patient's.")
        table.drop(columns="study_id", errors="ignore").assign(study_id=STUDY_ID).to_csv(
            folder / "features.csv", index=False
        )
    study = {
        "study_id": STUDY_ID,
        "patient_id": patient,
        "index_time": files.index_time or "2000-01-01T00:00:00",
        "ct": "",
        "age_years": "" if files.age_years is None else files.age_years,
        "sex": files.sex,
        "died": "",
    }
    pd.DataFrame([study]).to_csv(folder / "studies.csv", index=False)
    about = {"name": "one patient", "horizon_days": bundle.about.cohort.horizon_days}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    if files.codes is not None:
        (folder / "codes.csv").write_bytes(files.codes.read_bytes())


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, encoding="utf-8-sig", parse_dates=None)
    except (OSError, ValueError) as error:
        raise RecordError("The record cannot be read: it must be a CSV in UTF-8 or a parquet file.") from error


def _one_patient(events: pd.DataFrame) -> int:
    patients = events["subject_id"].dropna().unique()
    if len(patients) != 1:
        raise RecordError(f"The record is of {len(patients)} patients: it must be of one, the scan's.")
    return int(patients[0])


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
