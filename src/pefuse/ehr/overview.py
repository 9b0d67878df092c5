"""What the events of a cohort's patients are, code by code: for a look before training, not for features."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pefuse.database import MEMORY_LIMIT
from pefuse.ehr.events import add_codes, add_studies, conversion_of, event_database
from pefuse.errors import RecordError
from pefuse.types import Cohort
from pefuse.vocabulary import CodeMeaning, Conversion, code_rows, meaning

__all__ = ["RecordOverview", "record_overview"]


@dataclass(frozen=True, kw_only=True)
class RecordOverview:
    """Counts of events of patients who have a study.

    codes: one row a code, most frequent first: code, name, kind and concept ("" = not known), unit, events, after
    (at or after the patient's last index time), values, outside (of a human's range, in the unit stated) and the
    median of the outside ones. years: code, year, patients, median of values, and their lower
    and upper quartile; sites likewise.
    """

    codes: pd.DataFrame
    years: pd.DataFrame
    sites: pd.DataFrame


def record_overview(cohort: Cohort, *, memory_limit: str = MEMORY_LIMIT) -> RecordOverview:
    """Count the events of a cohort's patients.

    Raises:
        RecordError: there are none, or they cannot be read as the contract says.
    """
    if cohort.events is None:
        raise RecordError("The cohort has no events: it needs events.parquet (or events.csv).")
    with event_database(cohort.events, memory_limit) as database:
        declared = code_rows(cohort.codes)
        rows = database.sql("SELECT DISTINCT code FROM events WHERE code IS NOT NULL").fetchall()
        meanings = [meaning(row[0], declared) for row in rows]
        add_studies(database, cohort, list(cohort.studies.index))
        add_codes(database, meanings, [conversion_of(known) or Conversion() for known in meanings])
        database.register("sites_frame", cohort.studies.groupby("patient_id")["site"].first().reset_index())
        codes = database.sql(_CODES).df()
        years, sites = database.sql(_YEARS).df(), database.sql(_SITES).df()
    return RecordOverview(codes=_described(codes, meanings), years=years, sites=sites)


def _described(codes: pd.DataFrame, meanings: list[CodeMeaning]) -> pd.DataFrame:
    known = {each.code: each for each in meanings}
    told = [known[code] for code in codes["code"]]
    return codes.assign(
        name=[each.name or each.code for each in told],
        kind=[each.kind for each in told],
        concept=[each.concepts[0] if each.concepts else "" for each in told],
        unit=[each.unit for each in told],
    )


_OF_PATIENTS = """
    FROM events
    JOIN (SELECT patient_id, max(index_time) AS last FROM studies GROUP BY ALL) AS patients
        ON events.subject_id = patients.patient_id
    JOIN codes ON events.code = codes.code
"""
_CODES = f"""
SELECT events.code, count(*) AS events, count(*) FILTER (time >= last) AS after, count(numeric_value) AS values,
       count(*) FILTER (numeric_value NOT BETWEEN low AND high) AS outside,
       median(numeric_value) FILTER (numeric_value NOT BETWEEN low AND high) AS outside_median
{_OF_PATIENTS}
GROUP BY ALL ORDER BY events DESC, events.code
"""
_YEARS = f"""
SELECT events.code, year(time) AS year, count(DISTINCT subject_id) AS patients,
       quantile_cont(numeric_value, 0.5) AS median,
       quantile_cont(numeric_value, 0.25) AS lower, quantile_cont(numeric_value, 0.75) AS upper
{_OF_PATIENTS}
WHERE numeric_value IS NOT NULL AND time IS NOT NULL AND NOT told
GROUP BY ALL ORDER BY ALL
"""
_SITES = f"""
SELECT events.code, site, count(DISTINCT subject_id) AS patients, quantile_cont(numeric_value, 0.5) AS median,
       quantile_cont(numeric_value, 0.25) AS lower, quantile_cont(numeric_value, 0.75) AS upper
{_OF_PATIENTS}
JOIN sites_frame ON events.subject_id = sites_frame.patient_id
WHERE numeric_value IS NOT NULL AND NOT told AND site <> ''
GROUP BY ALL ORDER BY ALL
"""
