"""One patient's record from a file, through a cohort folder of one study: the one way in that all records take."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import TypeAdapter, ValidationError

from pefuse.cohort import load_cohort
from pefuse.ehr import FeatureOptions, RawRecord, extract
from pefuse.errors import BundleError, CohortError, RecordError, UsageError
from pefuse.models.bundle import Bundle

__all__ = ["STUDY_ID", "PatientRecord", "read_patient_record"]

STUDY_ID = "case"  # of the one study: nothing of the patient's own numbers is taken over
PATIENT = 1
BIRTH = "MEDS_BIRTH"
SEXES = {"SEX//F": "F", "SEX//M": "M", "GENDER//F": "F", "GENDER//M": "M"}


@dataclass(frozen=True, kw_only=True)
class PatientRecord:
    """What was read, and a line for each thing that a user should know of it."""

    record: RawRecord = field(repr=False)
    notes: tuple[str, ...]


def read_patient_record(
    bundle: Bundle,
    path: Path,
    *,
    index_time: str,
    age_years: float | None,
    sex: str,
    codes: Path | None,
) -> PatientRecord:
    """Read events (columns of MEDS) or a row of ready features of one patient, as the bundle was trained on them.

    Args:
        path: CSV or parquet; of events, those strictly before the index time count.
        index_time: ISO 8601 with the time of day, no time zone; needed with events.
        age_years, sex: where not given, birth and sex are taken from the events, if these tell them.
        codes: what local codes mean, as a cohort's codes.csv.

    Raises:
        UsageError: index_time is missing or no such time.
        RecordError: the file cannot be read, is not of one patient, has nothing before the index time, or is not
            of the kind that the model reads.
    """
    if not path.is_file():
        raise RecordError("There is no file at --ehr: give one patient's events or features.")
    table = _table(path)
    events = "subject_id" in table.columns
    _check_kind(bundle, events)
    study: dict[str, Any] = {
        "study_id": STUDY_ID,
        "patient_id": PATIENT,
        "index_time": "2000-01-01T00:00:00",  # of ready features, which have no times
        "ct": "",
        "age_years": "" if age_years is None else age_years,
        "birth_date": "",
        "sex": sex,
        "died": "",
    }
    notes: list[str] = []
    if events:
        study["index_time"] = _index_time(index_time)
        notes += _fill_in(study, table)
    with tempfile.TemporaryDirectory(prefix="pefuse-") as name:
        folder = Path(name)
        _write_cohort(folder, table, study, bundle, codes)
        try:
            record = extract(load_cohort(folder), options=_options(bundle))
        except CohortError as error:
            raise RecordError(f"The patient's record (--ehr, --codes) cannot be used. {error}") from error
    return PatientRecord(record=record, notes=tuple(notes))


def _table(path: Path) -> pd.DataFrame:
    """Of a CSV every cell as text, as cohorts read it too."""
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise RecordError(
            "The file at --ehr cannot be read: it must be a CSV in UTF-8 or a parquet file."
        ) from error


def _check_kind(bundle: Bundle, events: bool) -> None:
    """A model of events knows nothing of ready columns, and the other way round."""
    ready = {feature.family for feature in bundle.features} == {"table"}
    if events and ready:
        raise RecordError(
            f"The model {bundle.model} was trained on a table of features: give one row of them, with its names "
            "(bundle.json lists them), not events."
        )
    if not events and not ready:
        raise RecordError(
            f"The model {bundle.model} reads events, with the columns subject_id, time, code, numeric_value and "
            "text_value: the file at --ehr has no subject_id."
        )


def _index_time(given: str) -> str:
    if not given:
        raise UsageError("Events need the time of the scan, so that none after it is used: give --index-time.")
    try:
        time = pd.Timestamp(given)
    except ValueError as error:
        raise UsageError("--index-time is no time: write it as 2026-03-01T10:30.") from error
    if pd.isna(time) or time.tzinfo is not None or ":" not in given:
        raise UsageError("--index-time needs a date and a time of day, without a time zone: 2026-03-01T10:30.")
    return str(time.strftime("%Y-%m-%dT%H:%M:%S"))


def _fill_in(study: dict[str, Any], events: pd.DataFrame) -> list[str]:
    """Birth and sex from the events where they are not given; refuse events that cannot be this scan's."""
    if missing := sorted({"time", "code"} - set(events.columns)):
        raise RecordError(f'The events at --ehr lack the column "{missing[0]}".')
    patients = len(set(events["subject_id"].dropna().astype(str).str.strip()) - {""})
    if patients != 1:
        raise RecordError(f"The record is of {patients} patients: it must be of one, the scan's.")
    times = pd.to_datetime(events["time"].replace("", None), errors="coerce", format="ISO8601")
    if times.dt.tz is not None:
        raise RecordError("Times of events have a time zone: give them as local times without one.")
    codes = events["code"].astype(str)
    dated = times.notna() & (codes != BIRTH)
    before = int((times[dated] < pd.Timestamp(study["index_time"])).sum())
    if dated.any() and not before:
        raise RecordError(
            f"None of the {int(dated.sum())} dated events lies before --index-time: is it the time of this scan?"
        )
    notes = [f"{before} of {int(dated.sum())} dated events lie before the scan and count."]
    if study["age_years"] == "":
        births = times[codes == BIRTH].dropna()
        if len(births):
            study["birth_date"] = births.min().strftime("%Y-%m-%d")
        else:
            notes.append("The age is not known: give --age.")
    if not study["sex"]:
        found = {SEXES[code] for code in codes.unique() if code in SEXES}
        study["sex"] = found.pop() if len(found) == 1 else ""
        notes += [] if study["sex"] else ["The sex is not known: give --sex."]
    return notes


def _options(bundle: Bundle) -> FeatureOptions:
    try:
        return TypeAdapter(FeatureOptions).validate_python(bundle.about.config.get("features") or {})
    except ValidationError as error:
        raise BundleError("The bundle's settings of features cannot be read: make it again.") from error


def _write_cohort(
    folder: Path, table: pd.DataFrame, study: dict[str, Any], bundle: Bundle, codes: Path | None
) -> None:
    if "subject_id" in table.columns:
        own = table.assign(subject_id=PATIENT)
        if own["time"].dtype == object or isinstance(own["time"].dtype, pd.StringDtype):
            own.to_csv(folder / "events.csv", index=False)
        else:
            own.to_parquet(folder / "events.parquet", index=False)
    else:
        if len(table) != 1:
            raise RecordError(f"The table of features has {len(table)} rows: it must have one, this patient's.")
        own = table.drop(columns="study_id", errors="ignore").assign(study_id=STUDY_ID)
        own.to_csv(folder / "features.csv", index=False)
    pd.DataFrame([study]).to_csv(folder / "studies.csv", index=False)
    about = {"name": "one patient", "horizon_days": bundle.about.cohort.horizon_days}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    if codes is not None:
        if not codes.is_file():
            raise RecordError("There is no file at --codes.")
        (folder / "codes.csv").write_bytes(codes.read_bytes())
