"""The record of a cohort, from whatever a source gives as events: cleaned, counted, sorted, in MEDS columns.

Every importer makes a view `imported (subject_id, time, code, numeric_value, text_value)` and ends here, so that
what is left out and why is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.database import quoted

__all__ = ["EventCounts", "not_in_the_future", "write_events"]


FUTURE_SHARE = 0.1  # of the events: a record with more of them was moved there, as MIMIC's dates were


@dataclass(frozen=True, kw_only=True)
class EventCounts:
    """How many events a source has, how many are of the cohort's patients, and what became of those."""

    read: int
    of_patients: int
    left_out: dict[str, int]  # by reason
    written: int
    codes: int


def not_in_the_future(database: Any) -> str:
    """SQL: whether `time` of the view `imported` may have been; of a record that was moved to the future all may.

    A slip in one date is not to count as follow-up, nor as a survivor.
    """
    database.sql(f"""
        CREATE TABLE IF NOT EXISTS moved AS  -- once, since a source may be text that is read anew each time
        SELECT avg(CASE WHEN time > now()::TIMESTAMP THEN 1 ELSE 0 END) > {FUTURE_SHARE} AS is_moved FROM imported
        WHERE time IS NOT NULL
    """)
    is_moved = database.sql("SELECT is_moved FROM moved").fetchall()[0][0]
    return "true" if is_moved else f"time <= TIMESTAMP '{datetime.now() + timedelta(days=1):%Y-%m-%d %H:%M:%S}'"


def write_events(database: Any, patients: Sequence[int], path: Path) -> EventCounts:
    """Write the events of `patients` from the view `imported` to a parquet file, sorted by patient and time.

    Numbers that stand in text become numbers, and blood pressures such as 127/48 two events each. Left out and
    counted: events without a code, with a time of 1900 or before (what systems write for "unknown"), and all but
    one of those that are equal in everything; and times after today, unless the record was moved there.

    Raises:
        duckdb.Error: a file that the view reads is damaged or of another form.
    """
    database.register("patients_frame", pd.DataFrame({"patient_id": pd.array(list(patients), dtype="int64")}))
    database.sql("CREATE OR REPLACE TABLE patients AS SELECT DISTINCT patient_id FROM patients_frame")
    possible = not_in_the_future(database)
    database.sql(_KEPT.format(possible=possible))
    database.sql(f"COPY ({_WRITTEN}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
    read = database.sql("SELECT count(*) FROM imported").fetchall()[0][0]
    of_patients, no_code, no_time, future = database.sql(_COUNTS.format(possible=possible)).fetchall()[0]
    whole, written, codes = database.sql(
        f"SELECT (SELECT count(*) FROM whole), count(*), count(DISTINCT code) FROM read_parquet({quoted(path)})"
    ).fetchall()[0]
    reasons = {
        "no code": no_code,
        "a time of 1900 or before": no_time,
        "a time in the future": future,
        "told twice": whole - written,
    }
    return EventCounts(
        read=read,
        of_patients=of_patients,
        left_out={reason: count for reason, count in reasons.items() if count},
        written=written,
        codes=codes,
    )


_KEPT = """
CREATE OR REPLACE TEMP TABLE kept AS
SELECT subject_id, time, trim(code) AS code, numeric_value, nullif(trim(text_value), '') AS text_value
FROM imported SEMI JOIN patients ON subject_id = patient_id;

CREATE OR REPLACE TEMP VIEW whole AS
WITH usable AS (
    SELECT *, try_cast(text_value AS DOUBLE) AS as_number,
           regexp_extract(text_value, '^([0-9]{{2,3}}) */ *([0-9]{{2,3}})$', ['systolic', 'diastolic']) AS pressure
    FROM kept
    WHERE coalesce(code, '') <> '' AND (time IS NULL OR (time >= TIMESTAMP '1901-01-01' AND {possible}))
)
SELECT subject_id, time, code,
       coalesce(CASE WHEN isfinite(numeric_value) THEN numeric_value END, as_number) AS number,
       CASE WHEN as_number IS NULL THEN text_value END AS text
FROM usable WHERE NOT (coalesce(pressure.systolic, '') <> '' AND contains(lower(code), 'blood pressure'))
UNION ALL
SELECT subject_id, time, code || '//' || part, CAST(value AS DOUBLE), NULL
FROM (
    SELECT *, unnest(['SYSTOLIC', 'DIASTOLIC']) AS part, unnest([pressure.systolic, pressure.diastolic]) AS value
    FROM usable WHERE coalesce(pressure.systolic, '') <> '' AND contains(lower(code), 'blood pressure')
);
"""

_WRITTEN = """
SELECT DISTINCT subject_id, time, code, CAST(number AS FLOAT) AS numeric_value, text AS text_value
FROM whole ORDER BY subject_id, time NULLS FIRST, code, numeric_value, text_value
"""

_COUNTS = """
SELECT count(*), count(*) FILTER (coalesce(code, '') = ''),
       count(*) FILTER (coalesce(code, '') <> '' AND time < TIMESTAMP '1901-01-01'),
       count(*) FILTER (coalesce(code, '') <> '' AND time IS NOT NULL AND NOT ({possible}))
FROM kept
"""
