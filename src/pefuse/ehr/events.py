"""What stands in the events before each study's index time, out of core with DuckDB.

This is the only place where events are read for features and scores, and so the only place where the strict cut
`time < index_time` has to be right.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.database import MEMORY_LIMIT, spilling_database
from pefuse.ehr.options import FeatureOptions
from pefuse.errors import RecordError
from pefuse.types import Cohort, FeatureFamily
from pefuse.vocabulary import CodeMeaning, Conversion, code_rows, concepts, conversion, meaning, significant

__all__ = [
    "EventUse",
    "EventsBefore",
    "LatestPart",
    "add_codes",
    "add_studies",
    "conversion_of",
    "event_database",
    "last_of_each",
    "read_events_before",
]

LARGEST = 1e12  # a measured number beyond this is not one
PART_STUDIES = 4_000  # whose latest events are held at a time
Made = TypeVar("Made")

_MEASURED = ("vital", "lab", "score")
_TOLD = ("demographic", "arrival", "visit")


@dataclass(frozen=True, kw_only=True)
class EventUse:
    """How many events were of use, each count among those of the one before it; and of how many codes."""

    events: int  # all that were read
    of_patients: int  # of a patient of these studies
    before: int  # strictly before an index time, or timeless
    understood: int  # of a code whose meaning is known
    implausible: int  # of `understood`, with a number that no human has in the stated unit: not used
    codes: int  # that occur at all
    codes_understood: int
    codes_without_conversion: int  # measured in a unit that cannot become that of their concept: kept apart


@dataclass(frozen=True, kw_only=True)
class LatestPart:
    """Events of some studies before their index times, reduced to one row a study and code.

    `table`: columns study (row number 0..N-1), code (position in `meanings`), seen (time of the last event,
    datetime64[us]), value (the latest plausible number, in the unit of its concept, NaN = none) and value_time.
    """

    meanings: tuple[CodeMeaning, ...]
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class EventsBefore(Generic[Made]):
    """What the events before the index times of N studies tell.

    `parts`: what was made of the latest events, some studies at a time. `told`: every event of a demographic,
    arrival or visit code: study, code, time (NaT = timeless), number, text. `course`, where it was asked for:
    study, key (of a measurement), count, slope (a day, over COURSE_DAYS; NaN = none), lowest and highest of the
    last day (NaN = none), in the unit of the concept.
    """

    meanings: tuple[CodeMeaning, ...]
    use: EventUse
    parts: tuple[Made, ...]
    told: pd.DataFrame
    course: pd.DataFrame | None = None


def read_events_before(
    cohort: Cohort,
    study_ids: Sequence[str],
    make: Callable[[LatestPart], Made],
    *,
    options: FeatureOptions | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> EventsBefore[Made]:
    """Read the cohort's events strictly before each study's index time.

    The latest events are read of PART_STUDIES studies at a time, and only what `make` keeps of them is held: the
    memory grows with what is made, not with the number of events.

    An event without a time is a timeless fact in MEDS; it counts for demographic codes only.
    Of two numbers of one code at one moment the larger is taken, so that the order of rows has no say.

    Raises:
        RecordError: the events cannot be read as the contract says.
        UsageError: `memory_limit` is not a size such as '2GB'.
    """
    if cohort.events is None:
        raise RecordError("The cohort has no events: it needs events.parquet (or events.csv).")
    options = options or FeatureOptions()
    with event_database(cohort.events, memory_limit) as database:
        declared = code_rows(cohort.codes)
        codes = [
            row[0] for row in database.sql("SELECT DISTINCT code FROM events WHERE code IS NOT NULL").fetchall()
        ]
        meanings = tuple(known for code in sorted(codes) if (known := meaning(code, declared)).kind)
        conversions = [conversion_of(known) for known in meanings]
        changes = [change or Conversion() for change in conversions]
        add_studies(database, cohort, study_ids, lag_hours=options.lag_hours)
        add_codes(database, meanings, changes, lookback_days=options.lookback_days)
        course = _course(database, meanings, conversions) if options.measured else None
        told = _frame(database, TOLD_SQL)
        if len(study_ids) > PART_STUDIES and cohort.events.suffix != ".parquet":
            # Text would be read again for each part; a table is spilled.
            database.sql("CREATE TABLE held AS SELECT * FROM events; DROP VIEW events")
            database.sql("ALTER TABLE held RENAME TO events")
        parts = tuple(
            make(LatestPart(meanings=meanings, table=_converted(_frame(database, query), changes)))
            for query in _latest_queries(database)
        )
        counts = database.sql(USE_SQL).fetchall()[0]
    use = EventUse(
        **dict(zip(("events", "of_patients", "before", "understood", "implausible"), counts, strict=True)),
        codes=len(codes),
        codes_understood=len(meanings),
        codes_without_conversion=sum(change is None for change in conversions),
    )
    return EventsBefore(meanings=meanings, use=use, parts=parts, told=told, course=course)


def _latest_queries(database: Any) -> list[str]:
    """One query a part, with the bounds of its patients' ids: of sorted events the others are then not read."""
    bounds = database.sql("SELECT part, min(patient_id), max(patient_id) FROM studies GROUP BY part ORDER BY part")
    return [LATEST_SQL.format(part=part, first=first, last=last) for part, first, last in bounds.fetchall()]


def last_of_each(
    places: NDArray[np.intp], rows: NDArray[np.intp], times: NDArray[np.datetime64], values: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Positions of the latest entry of each (place, row); of two at one moment the larger value."""
    if len(rows) == 0:
        return np.zeros(0, dtype=np.intp)
    cell = places * (int(rows.max()) + 1) + rows
    order = np.lexsort((values, times, cell))
    is_last = np.append(cell[order][1:] != cell[order][:-1], True)
    return np.asarray(order[is_last])


# The inner query settles what two numbers of one code at one moment are, so that the outer one has no ties.
LATEST_SQL = """
SELECT study, code, max(time) AS seen,
       arg_max(largest, time) FILTER (WHERE largest IS NOT NULL) AS value,
       max(time) FILTER (WHERE largest IS NOT NULL) AS value_time
FROM (
    SELECT study, codes.number AS code, events.time AS time,
           max(CASE WHEN value BETWEEN low AND high THEN value END) AS largest
    FROM (
        SELECT subject_id, time, code, CAST(numeric_value AS DOUBLE) AS value
        FROM events WHERE subject_id BETWEEN {first} AND {last}
    ) AS events
    JOIN studies ON part = {part} AND events.subject_id = studies.patient_id AND events.time < studies.index_time
    JOIN codes ON events.code = codes.code
    WHERE NOT told AND (back IS NULL OR events.time >= studies.index_time - to_microseconds(back))
    GROUP BY ALL
)
GROUP BY ALL
"""

TOLD_SQL = """
SELECT study, codes.number AS code, events.time, CAST(numeric_value AS DOUBLE) AS number,
       coalesce(trim(text_value), '') AS text
FROM events
JOIN codes ON events.code = codes.code
JOIN studies ON events.subject_id = studies.patient_id
WHERE told AND (events.time < index_time OR (events.time IS NULL AND timeless))
      AND (back IS NULL OR events.time IS NULL OR events.time >= index_time - to_microseconds(back))
ORDER BY ALL
"""


COURSE_DAYS = 7
# In the unit of the concept; codes of one key are one measurement.
COURSE_SQL = f"""
SELECT study, key, count(*) AS count,
       regr_slope(value, epoch(time) / 86400.0) FILTER (time >= index_time - INTERVAL {COURSE_DAYS} DAY) AS slope,
       min(value) FILTER (time >= index_time - INTERVAL 1 DAY) AS lowest,
       max(value) FILTER (time >= index_time - INTERVAL 1 DAY) AS highest
FROM (
    SELECT DISTINCT study, keys.key, studies.index_time, events.time,
           CAST(numeric_value AS DOUBLE) * factor + shift AS value
    FROM events
    JOIN studies ON events.subject_id = studies.patient_id AND events.time < studies.index_time
    JOIN codes ON events.code = codes.code
    JOIN keys ON codes.number = keys.number
    WHERE CAST(numeric_value AS DOUBLE) BETWEEN low AND high
          AND (back IS NULL OR events.time >= studies.index_time - to_microseconds(back))
)
GROUP BY ALL ORDER BY ALL
"""

USE_SQL = """
SELECT count(*), count(last), count(*) FILTER (before), count(*) FILTER (before AND number IS NOT NULL),
       count(*) FILTER (before AND NOT told AND NOT (CAST(numeric_value AS DOUBLE) BETWEEN low AND high))
FROM (
    SELECT events.*, patients.last, codes.*, last IS NOT NULL AND (time < last OR time IS NULL) AS before
    FROM events
    LEFT JOIN (SELECT patient_id, max(index_time) AS last FROM studies GROUP BY ALL) AS patients
        ON events.subject_id = patients.patient_id
    LEFT JOIN codes ON events.code = codes.code
)
"""


@contextlib.contextmanager
def event_database(events: Path, memory_limit: str) -> Iterator[Any]:
    """A database with the view `events`; what goes wrong with them is told without their content."""
    with spilling_database(memory_limit) as database:
        try:
            _add_events(database, events)
            yield database
        except duckdb.OutOfMemoryException as error:
            raise RecordError(f"The events do not fit into {memory_limit}: allow more memory.") from error
        except duckdb.ConversionException as error:
            raise RecordError(
                f"{_place(error)} is not of its type: subject_id is a whole number, time is in ISO 8601, "
                "numeric_value is a number. Text belongs into text_value."
            ) from error
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise RecordError(
                f"{_place(error)} is damaged or not of the contract's form, such as a row with too few or too "
                "many cells; write it again (see docs/cohort-format.md)."
            ) from error


def _place(error: Exception) -> str:
    """Where in the events an error of DuckDB lies. Nothing else of its text is shown: it quotes the row."""
    row = re.search(r"CSV Error on Line: (\d+)", str(error))
    column = re.search(r'converting column "(\w+)"', str(error))
    parts = ["events", f"row {row[1]}" if row else "", f"column {column[1]}" if column else ""]
    return ", ".join(part for part in parts if part)


def _add_events(database: Any, path: Path) -> None:
    if path.suffix == ".parquet":
        relation = database.read_parquet(str(path))
    else:
        kinds = {"subject_id": "BIGINT", "code": "VARCHAR", "numeric_value": "DOUBLE"}
        with path.open(encoding="utf-8-sig") as file:
            names = [name.strip().strip('"') for name in file.readline().rstrip("\r\n").split(",")]
        # Every column is named with its type: nothing is guessed from the first rows.
        relation = database.read_csv(
            str(path), header=True, columns={name: kinds.get(name, "VARCHAR") for name in names}, delimiter=","
        )
        _refuse_zones(relation)
    types = dict(zip(relation.columns, map(str, relation.dtypes), strict=True))
    text = "text_value" if types.get("text_value") == "VARCHAR" else "NULL"  # of another type: it is empty
    selected = (
        f"subject_id, CAST(time AS TIMESTAMP) AS time, code, numeric_value, CAST({text} AS VARCHAR) AS text_value"
    )
    relation.project(selected).create_view("events")


def _refuse_zones(relation: Any) -> None:
    """A time with an offset would be moved, or lose it: an event of after the scan could come before it."""
    zoned = (
        relation.filter(r"regexp_matches(time, '\d[ T]\d.*([Zz]|[+-]\d{2}:?(\d{2})?)\s*$')")
        .count("*")
        .fetchall()[0][0]
    )
    if zoned:
        raise RecordError(
            f"events.csv: {zoned} times have a time zone: write the hospital's local time without one, as in "
            "studies.csv."
        )


def add_studies(database: Any, cohort: Cohort, study_ids: Sequence[str], *, lag_hours: float = 0.0) -> None:
    """The table `studies`: study (row number), patient_id, index_time less the lag, and the part of each."""
    chosen = cohort.studies.loc[list(study_ids)]
    studies = pd.DataFrame(
        {
            "study": np.arange(len(chosen), dtype=np.int32),
            "patient_id": chosen["patient_id"].to_numpy(),
            "index_time": (chosen["index_time"] - pd.Timedelta(hours=lag_hours)).to_numpy(),
        }
    )
    order = np.argsort(studies["patient_id"].to_numpy(), kind="stable")
    part = np.empty(len(studies), dtype=np.int32)
    part[order] = np.arange(len(studies), dtype=np.int32) // PART_STUDIES
    studies["part"] = part
    database.register("studies_frame", studies)
    database.sql("CREATE TABLE studies AS SELECT * FROM studies_frame")


def add_codes(
    database: Any,
    meanings: Sequence[CodeMeaning],
    conversions: Sequence[Conversion],
    *,
    lookback_days: Mapping[FeatureFamily, float] | None = None,
) -> None:
    """The table `codes`, with the human range of each measured code in the unit that it was recorded in."""
    ranges = [_recorded_range(known, change) for known, change in zip(meanings, conversions, strict=True)]
    codes = pd.DataFrame(
        {
            "number": np.arange(len(meanings), dtype=np.int32),
            "code": np.array([known.code for known in meanings], dtype=object),
            "low": np.array([low for low, _ in ranges], dtype=np.float64),
            "high": np.array([high for _, high in ranges], dtype=np.float64),
            "told": np.array([known.kind in _TOLD for known in meanings], dtype=bool),
            "timeless": np.array([known.kind == "demographic" for known in meanings], dtype=bool),
            "back": pd.array([_back(known, lookback_days or {}) for known in meanings], dtype="Int64"),
        }
    )
    database.register("codes_frame", codes)
    database.sql("CREATE TABLE codes AS SELECT * REPLACE (CAST(code AS VARCHAR) AS code) FROM codes_frame")


def _back(known: CodeMeaning, lookback_days: Mapping[FeatureFamily, float]) -> int | None:
    """How far back events of a code count, in microseconds; None = any."""
    days = {str(family): days for family, days in lookback_days.items()}.get(known.kind)
    return None if days is None else round(days * 86_400_000_000)


def _course(
    database: Any, meanings: Sequence[CodeMeaning], conversions: Sequence[Conversion | None]
) -> pd.DataFrame:
    """See `EventsBefore.course`; codes whose unit has no way to that of their concept have none."""
    measured = [
        (number, known.key, change.factor, change.offset)
        for number, (known, change) in enumerate(zip(meanings, conversions, strict=True))
        if known.kind in _MEASURED and change is not None
    ]
    database.register("keys_frame", pd.DataFrame(measured, columns=["number", "key", "factor", "shift"]))
    database.sql("CREATE TABLE keys AS SELECT * FROM keys_frame")
    course = _frame(database, COURSE_SQL)
    # 7 digits: sums in another order differ beyond them.
    return course.assign(**{name: significant(course[name].to_numpy()) for name in ("slope", "lowest", "highest")})


def conversion_of(known: CodeMeaning) -> Conversion | None:
    """To the unit of the concept; None where no table says how: the code stays a feature of its own."""
    if known.kind not in _MEASURED or not known.concepts:
        return Conversion()
    return conversion(known.concepts[0], known.unit, concepts()[known.concepts[0]].unit)


def _recorded_range(known: CodeMeaning, change: Conversion) -> tuple[float, float]:
    if known.kind not in _MEASURED or not known.concepts:
        return -LARGEST, LARGEST
    concept = concepts()[known.concepts[0]]
    # A hair wider, for the rounding of float32 and of the conversion.
    low, high = change.invert(concept.low), change.invert(concept.high)
    slack = 1e-6 * max(abs(low), abs(high))
    return low - slack, high + slack


def _frame(database: Any, query: str) -> pd.DataFrame:
    columns: dict[str, Any] = database.sql(query).fetchnumpy()
    return pd.DataFrame({name: _plain(values) for name, values in columns.items()})


def _plain(values: Any) -> NDArray[Any]:
    """DuckDB gives masked arrays where values are missing: NaN and NaT say the same."""
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    if values.dtype.kind == "M":
        return values.filled(np.datetime64("NaT"))
    return values.filled(np.nan) if values.dtype.kind == "f" else values.filled()


def _converted(latest: pd.DataFrame, conversions: Sequence[Conversion]) -> pd.DataFrame:
    if not conversions:
        return latest
    factor = np.array([change.factor for change in conversions])[latest["code"]]
    offset = np.array([change.offset for change in conversions])[latest["code"]]
    values = latest["value"].to_numpy(dtype=np.float64)
    return latest.assign(value=significant(significant(values) * factor + offset))
