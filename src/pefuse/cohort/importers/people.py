"""A table of studies whose blanks are filled from what a source tells of its patients.

The user names the studies (who and when); birth, sex, death and follow-up may come from the record. What the
table says goes before what the source says.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pefuse.cohort.folder import read_csv_as_text
from pefuse.cohort.importers.table import HORIZON_DAYS, KEY_COLUMNS
from pefuse.cohort.studies import DAYS_A_YEAR, OLDEST_YEARS, OPTIONAL, REQUIRED, checked_studies, patient_ids
from pefuse.errors import CohortError

__all__ = ["PEOPLE_COLUMNS", "TIME", "NamedStudies", "completed", "read_named_studies"]

TIME = "%Y-%m-%dT%H:%M:%S"  # of death_time and last_follow_up
PEOPLE_COLUMNS = ("birth_date", "sex", "death_time", "last_follow_up", "split")
_NEEDED = ("patient_id", "index_time")


@dataclass(frozen=True, kw_only=True)
class NamedStudies:
    """Rows with a cohort's columns as text; how many blanks of each were filled from the source, or left so."""

    rows: pd.DataFrame
    filled: dict[str, int]
    doubts: dict[str, int]  # what the source told that cannot be, left blank


def read_named_studies(path: Path) -> pd.DataFrame:
    """The table as text; rows without a study_id get S00001 and so on.

    Raises:
        CohortError: the file is not there or no CSV, or it does not say who and when.
    """
    if not path.is_file():
        raise CohortError("There is no such table of studies: check the path after --studies.")
    raw = read_csv_as_text(path)
    missing = [name for name in _NEEDED if name not in raw]
    if missing:
        raise CohortError(f"The table of studies lacks {' and '.join(missing)}: it needs who and when.")
    if raw.empty:
        raise CohortError("The table of studies has a header and no rows: it needs one row a CTPA.")
    if "study_id" not in raw:
        raw.insert(0, "study_id", [f"S{number:05d}" for number in range(1, len(raw) + 1)])
    if "ct" not in raw:
        raw["ct"] = ""
    return raw[[name for name in raw.columns if name in (*REQUIRED, *OPTIONAL, *KEY_COLUMNS)]]


def completed(raw: pd.DataFrame, people: pd.DataFrame) -> NamedStudies:
    """Fill blanks of the table from `people`, and hold the result to the cohort's contract.

    Args:
        raw: from `read_named_studies`.
        people: one row a patient, indexed by patient_id, with any of PEOPLE_COLUMNS as text, "" = not known.

    Raises:
        CohortError: a row breaks the contract.
    """
    rows, filled = raw.copy(), Counter[str]()
    # Dates from elsewhere are not to contradict a label of the table's own, nor a birth date an age.
    labelled = {"death_time", "last_follow_up"} & set(raw.columns) or "died" in raw.columns
    kept_back = {"death_time", "last_follow_up"} if labelled else set()
    if "age_years" in raw.columns:
        kept_back.add("birth_date")
    used = people.drop(columns=[name for name in people.columns if name in kept_back])
    known, doubts = _possible(used.reindex(patient_ids(raw)), raw["index_time"])
    for name in PEOPLE_COLUMNS:
        if name not in people.columns or name in kept_back or (name == "split" and not _splits_all(rows, known)):
            continue
        told = known[name].fillna("").to_numpy()
        own = rows[name].to_numpy() if name in rows else np.full(len(rows), "", dtype=object)
        rows[name] = np.where(own != "", own, told)
        filled[name] = int(((own == "") & (told != "")).sum())
    if "sex" not in rows:
        rows["sex"] = ""
    checked_studies(rows, horizon_days=HORIZON_DAYS)
    return NamedStudies(
        rows=rows,
        filled={name: count for name, count in filled.items() if count},
        doubts={what: count for what, count in doubts.items() if count},
    )


def _possible(known: pd.DataFrame, index_time: pd.Series) -> tuple[pd.DataFrame, dict[str, int]]:
    """What a source tells of each study's patient, without births and deaths that cannot be.

    One bad patient is not to stop the others. Of one who died before the scan there is no outcome.
    """
    known, doubts = known.fillna(""), Counter[str]()
    scanned = pd.to_datetime(index_time, format="ISO8601", errors="coerce").to_numpy()
    if "birth_date" in known:
        born = pd.to_datetime(known["birth_date"], format="ISO8601", errors="coerce").to_numpy()
        years = (scanned - born) / np.timedelta64(1, "D") / DAYS_A_YEAR
        wrong = (known["birth_date"] != "").to_numpy() & ~((years >= 0) & (years <= OLDEST_YEARS))
        wrong &= ~np.isnat(scanned)
        known.loc[wrong, "birth_date"] = ""
        doubts["births that cannot be at the scan, left blank"] = int(wrong.sum())
    if "death_time" in known:
        died = pd.to_datetime(known["death_time"], format="ISO8601", errors="coerce").to_numpy()
        told = (known["death_time"] != "").to_numpy()
        wrong = told & (np.isnat(died) | (died.astype("datetime64[D]") < scanned.astype("datetime64[D]")))
        known.loc[wrong, [name for name in ("death_time", "last_follow_up") if name in known]] = ""
        doubts["deaths before the scan, or at no possible time: no outcome"] = int(wrong.sum())
    return known, doubts


def _splits_all(rows: pd.DataFrame, known: pd.DataFrame) -> bool:
    """Whether the source's splits are to be used: a split for some of the studies only is none."""
    return "split" not in rows and bool((known["split"].fillna("") != "").all())
