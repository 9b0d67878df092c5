"""The user's table of studies for a DICOM import: the cohort's columns, and keys to find each row's scan by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pefuse.cohort.folder import read_csv_as_text
from pefuse.cohort.studies import OPTIONAL, REQUIRED, checked_studies, name_cases
from pefuse.errors import CohortError

__all__ = ["KEYS", "KEY_COLUMNS", "SCAN_KEYS", "Key", "StudiesTable", "read_record_table", "read_studies_table"]

Key = tuple[str, ...]
"""What kind of key, and its values: `("accession_number", value)`, or `("dicom_patient_id", value, YYYYMMDD)`."""

KEYS = {  # in the order in which they are tried: the first that a row fills is its key
    "accession_number": "this accession number",
    "study_instance_uid": "this StudyInstanceUID",
    "dicom_patient_id": "this patient on this date",
}
HORIZON_DAYS = 30  # of the cohort that is written; the user may change it in cohort.yaml
_DATE_COLUMN = "study_date"  # for dicom_patient_id, where the scan's date is not that of index_time
KEY_COLUMNS = (*KEYS, _DATE_COLUMN)
SCAN_KEYS = "scan_keys.csv"  # beside a record import's studies.csv: study_id, and key columns of its table
_DATE = re.compile(r"(\d{4})([-./]?)(\d{2})\2(\d{2})(?:[ T].*)?")


@dataclass(frozen=True, kw_only=True)
class StudiesTable:
    """`rows` has the cohort's columns as text, in file order, without `ct`; the series are indexed by study_id.

    `keys` holds each row's key, None where it has none; `days` the date of its index_time, YYYYMMDD.
    """

    rows: pd.DataFrame
    keys: pd.Series
    days: pd.Series


def read_studies_table(path: Path) -> StudiesTable:
    """Read the table and check its rows as a cohort's; rows without a study_id get S00001 and so on.

    Args:
        path: CSV in UTF-8 with the columns of a cohort's studies.csv, without `ct`, study_id if wanted, and one or
            more of the key columns accession_number, study_instance_uid and dicom_patient_id.

    Raises:
        CohortError: the file is not there, lacks columns, or a row breaks the contract.
    """
    if not path.is_file():
        raise CohortError("There is no such table of studies: check the path after --studies.")
    raw = read_csv_as_text(path)
    _check_columns(raw)
    return _studies_table(raw)


def read_record_table(folder: Path) -> StudiesTable:
    """The studies of a cohort that a record import made, with the keys that it kept of their table.

    Raises:
        CohortError: there is no such cohort, it has no keys, or it has scans already.
    """
    if not (folder / "studies.csv").is_file():
        raise CohortError("The folder after --record holds no cohort: name one that `pefuse import` has made.")
    if not (folder / SCAN_KEYS).is_file():
        raise CohortError(
            f"The cohort after --record has no keys of scans: give the table of studies one of {', '.join(KEYS)} "
            "and import the record again, or name such a table with --studies."
        )
    rows = read_csv_as_text(folder / "studies.csv")
    if (rows["ct"] != "").any():
        raise CohortError("The cohort after --record has scans already.")
    raw = rows.drop(columns="ct").merge(read_csv_as_text(folder / SCAN_KEYS), on="study_id", how="left")
    return _studies_table(raw.fillna(""))


def _studies_table(raw: pd.DataFrame) -> StudiesTable:
    if "study_id" not in raw:
        raw.insert(0, "study_id", [f"S{number:05d}" for number in range(1, len(raw) + 1)])
    ours = [name for name in raw.columns if name not in KEYS and name != _DATE_COLUMN]
    checked = checked_studies(raw[ours].assign(ct=""), horizon_days=HORIZON_DAYS)
    raw.index = checked.index
    days = checked["index_time"].dt.strftime("%Y%m%d")
    # Other columns stay behind: they may name patients, and a cohort ignores them.
    known = [name for name in raw.columns if name in (*REQUIRED, *OPTIONAL)]
    return StudiesTable(rows=raw[known].reset_index(drop=True), keys=_keys(raw, days), days=days)


def _check_columns(raw: pd.DataFrame) -> None:
    if not set(KEYS) & set(raw.columns):
        raise CohortError(
            f"The table of studies has no column to find scans by: it needs one or more of {', '.join(KEYS)}."
        )
    if "ct" in raw:
        raise CohortError("The table of studies has a column ct, which the import fills in: remove the column.")


def _keys(raw: pd.DataFrame, days: pd.Series) -> pd.Series:
    """The first of the keys that each row fills."""
    scan_days = days
    if _DATE_COLUMN in raw:
        given = raw[_DATE_COLUMN].map(_day)
        bad = raw.index[(given == "") & (raw[_DATE_COLUMN] != "")]
        if len(bad):
            raise CohortError(
                f"The table of studies, {name_cases(bad)}: study_date is no date; write it as 2018-03-05."
            )
        scan_days = given.where(given != "", days)
    keys: list[Key | None] = []
    for study_id, row in zip(raw.index, raw.to_dict("records"), strict=True):
        kind = next((name for name in KEYS if row.get(name)), None)
        when = (str(scan_days[study_id]),) if kind == "dicom_patient_id" else ()
        keys.append(None if kind is None else (kind, str(row[kind]), *when))
    return pd.Series(keys, index=raw.index, dtype=object)


def _day(text: str) -> str:
    match = _DATE.fullmatch(text)
    return f"{match[1]}{match[3]}{match[4]}" if match else ""
