"""The table of studies: each row checked, then brought to the columns of `STUDY_COLUMNS`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from pefuse.errors import CohortError
from pefuse.types import STUDY_COLUMNS

__all__ = ["checked_studies", "name_cases", "patient_ids"]

REQUIRED = ("study_id", "patient_id", "index_time", "ct", "sex")
OPTIONAL = ("birth_date", "age_years", "death_time", "last_follow_up", "died", "split", "site")
SPLITS = ("", "train", "validation", "test")
SEXES = {"F": "F", "FEMALE": "F", "M": "M", "MALE": "M", "": ""}
OLDEST_YEARS = 120.0
DAYS_A_YEAR = 365.25


def checked_studies(raw: pd.DataFrame, *, horizon_days: int) -> pd.DataFrame:
    """Check the rows as read (text or typed cells) and give the frame that `Cohort.studies` describes.

    Raises:
        CohortError: a column is missing or a row breaks the contract; the message names the study_ids.
    """
    raw = _as_text(raw)
    _check_columns(raw.columns)
    if raw.empty:
        raise CohortError("studies.csv has a header and no rows: it needs one row a CTPA.")
    raw = raw.set_index(_study_ids(raw["study_id"]))
    index_time = _times(raw, "index_time", required=True)
    studies = pd.DataFrame(
        {
            "patient_id": patient_ids(raw),
            "index_time": index_time,
            "ct": _scan_paths(raw),
            "age_years": _ages(raw, index_time),
            "sex": _sexes(raw),
            "label": _labels(raw, index_time, horizon_days),
            "year": index_time.dt.year.astype("int64"),
            "split": _splits(raw),
            "site": raw.get("site", ""),
        },
        index=raw.index,
    )
    return studies[list(STUDY_COLUMNS)]


def name_cases(study_ids: Iterable[object], *, most: int = 3) -> str:
    """'3 studies (a, b, c)' with the first few ids, for a message."""
    ids = [str(study_id) for study_id in study_ids]
    if len(ids) == 1:
        return f"study {ids[0]}"
    return f"{len(ids)} studies ({', '.join(ids[:most])}{', …' if len(ids) > most else ''})"


def _as_text(raw: pd.DataFrame) -> pd.DataFrame:
    """Typed cells (of a parquet file) as the text that a CSV would have, so that one set of checks serves both."""
    return pd.DataFrame({str(name): _column_as_text(raw[name]) for name in raw.columns})


def _column_as_text(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        text = column.map(lambda time: "" if pd.isna(time) else time.isoformat())
    elif pd.api.types.is_bool_dtype(column):
        text = column.map({True: "1", False: "0"})
    elif pd.api.types.is_float_dtype(column):
        text = column.map(lambda value: "" if pd.isna(value) else f"{value:.17g}")
    else:
        text = column.map(lambda value: "" if pd.isna(value) else str(value))
    return text.astype(object).fillna("").astype(str).str.strip()


def _check_columns(columns: pd.Index) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if not {"birth_date", "age_years"} & set(columns):
        missing.append("birth_date (or age_years)")
    if not ({"death_time", "last_follow_up"} <= set(columns) or "died" in columns):
        missing.append("death_time and last_follow_up (or died)")
    if missing:
        raise CohortError(f"studies.csv lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}.")
    for name in columns:
        meant = difflib.get_close_matches(str(name), OPTIONAL, n=1, cutoff=0.85)
        if name not in OPTIONAL and meant and meant[0] not in columns:
            raise CohortError(f"studies.csv has a column '{name}': if it is meant as '{meant[0]}', name it so.")


def _study_ids(column: pd.Series) -> pd.Index:
    for row, value in enumerate(column, start=2):  # row 1 of the file is the header
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", value):
            raise CohortError(
                f"studies.csv, row {row}: study_id is empty or not fit to name a file; it needs 1 to 100 letters, "
                "digits, '.', '_' or '-', and no '.' at its start."
            )
    doubled = column[column.duplicated()].unique()
    if len(doubled):
        raise CohortError(f"studies.csv has more than one row for {name_cases(doubled)}: study_id must be unique.")
    ids: pd.Index = pd.Index(column.to_numpy(), name="study_id", dtype="str")
    return ids


def patient_ids(raw: pd.DataFrame) -> pd.Series:
    """The column patient_id as int64.

    Raises:
        CohortError: a cell is no whole number.
    """
    text = raw["patient_id"].str.replace(r"\.0+$", "", regex=True)  # Excel turns 12 into 12.0
    good = np.array([_is_whole_number(each) for each in text])
    _refuse(raw.index[~good], "patient_id is not a whole number of 64 bits")
    return text.astype("int64")


def _is_whole_number(text: str) -> bool:
    return re.fullmatch(r"-?\d{1,19}", text) is not None and -(2**63) <= int(text) < 2**63


def _times(raw: pd.DataFrame, name: str, *, required: bool = False) -> pd.Series:
    text = raw[name] if name in raw else pd.Series("", index=raw.index)
    zoned = text.str.contains(r"\d[ T]\d.*(?:Z|[+-]\d{2}:?\d{2})$", regex=True)
    _refuse(
        raw.index[zoned], f"{name} has a time zone", "write the hospital's local time without one, as in events"
    )
    times = pd.to_datetime(text.mask(text == ""), format="ISO8601", errors="coerce")
    bad = times.isna() & ((text != "") | required)
    bad |= times.dt.year.lt(1900) | times.dt.year.gt(2300)
    _refuse(raw.index[bad], f"{name} is not a possible date", "it needs ISO 8601, such as 2018-03-05T14:30")
    return times.astype("datetime64[us]")


def _ages(raw: pd.DataFrame, index_time: pd.Series) -> pd.Series:
    """Age at the index time in years: from the birth date, else as given."""
    ages = pd.Series(np.nan, index=raw.index)
    if "age_years" in raw:
        ages = pd.to_numeric(raw["age_years"].mask(raw["age_years"] == ""), errors="coerce").astype("float64")
        _refuse(raw.index[ages.isna() & (raw["age_years"] != "")], "age_years is not a number")
    if "birth_date" in raw:
        born = _times(raw, "birth_date")
        ages = ((index_time - born).dt.total_seconds() / 86400 / DAYS_A_YEAR).fillna(ages)
    _refuse(raw.index[(ages < 0) | (ages > OLDEST_YEARS)], "the age at the scan is not within 0 to 120 years")
    return ages


def _sexes(raw: pd.DataFrame) -> pd.Series:
    sexes = raw["sex"].str.upper().map(SEXES)
    _refuse(raw.index[sexes.isna()], "sex is not F, M or empty")
    return sexes


def _scan_paths(raw: pd.DataFrame) -> pd.Series:
    """Relative paths with forward slashes; one that could lead out of the folder is refused."""
    paths = raw["ct"].str.replace("\\", "/", regex=False)
    outside = paths.str.match(r"^(?:/|~|[A-Za-z]:)") | paths.str.contains(r"(?:^|/)\.\.(?:/|$)", regex=True)
    _refuse(raw.index[outside], "ct leads out of the cohort folder", "give a path relative to it, without '..'")
    return paths


def _splits(raw: pd.DataFrame) -> pd.Series:
    splits = raw["split"].str.lower() if "split" in raw else pd.Series("", index=raw.index)
    _refuse(raw.index[~splits.isin(SPLITS)], "split is not train, validation, test or empty")
    return splits


def _labels(raw: pd.DataFrame, index_time: pd.Series, horizon_days: int) -> pd.Series:
    """1 = died within the horizon, 0 = followed up to it alive, NaN = censored before it."""
    given = _given_labels(raw)
    if "death_time" not in raw:
        return given
    death = _times(raw, "death_time")
    _refuse(
        raw.index[_days_between(index_time, death) < 0],
        "death_time lies before the scan",
        "check both times, or leave the study out",
    )
    derived = _derived_labels(index_time, death, _times(raw, "last_follow_up"), horizon_days)
    clash = given.notna() & derived.notna() & (given != derived)
    _refuse(raw.index[clash], "died and death_time contradict each other", "leave out the one that is wrong")
    return derived.fillna(given)


def _given_labels(raw: pd.DataFrame) -> pd.Series:
    text = raw["died"] if "died" in raw else pd.Series("", index=raw.index)
    labels = text.str.lower().map({"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0, "": np.nan})
    known = text.str.lower().isin(["0", "0.0", "1", "1.0", ""])
    _refuse(raw.index[~known], "died is not 0, 1 or empty", "it needs 1 = died within the horizon, 0 = did not")
    return labels.astype("float64")


def _derived_labels(index_time: pd.Series, death: pd.Series, follow_up: pd.Series, horizon_days: int) -> pd.Series:
    death_days = _days_between(index_time, death)
    followed = _days_between(index_time, follow_up) >= horizon_days
    labels = pd.Series(np.nan, index=index_time.index)
    labels[followed | (death_days > horizon_days)] = 0.0
    labels[death_days <= horizon_days] = 1.0
    return labels


def _days_between(start: pd.Series, end: pd.Series) -> pd.Series:
    """Days from `start` to `end`; an `end` at midnight is a mere date and is counted by the calendar."""
    exact = (end - start).dt.total_seconds() / 86400
    by_date = (end - start.dt.normalize()).dt.total_seconds() / 86400
    return exact.where(end.dt.normalize() != end, by_date)


def _refuse(study_ids: Sequence[object] | pd.Index, found: str, remedy: str = "") -> None:
    if len(study_ids):
        raise CohortError(f"studies.csv, {name_cases(study_ids)}: {found}{f'; {remedy}' if remedy else ''}.")
