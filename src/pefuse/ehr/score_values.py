"""The values that scores need: the latest of each concept before the index, states as 1 or 0, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr.events import LatestPart, last_of_each, read_events_before
from pefuse.ehr.options import FeatureOptions
from pefuse.ehr.score_table import SCORES, Floats, ScorePart, score_parts
from pefuse.errors import RecordError, UsageError
from pefuse.types import Cohort
from pefuse.vocabulary import CodeMeaning, code_rows, concepts, conversion

__all__ = ["ESC_SEVERE", "ScoreValues", "read_score_values"]

ESC_SEVERE = {"pesi": 86.0, "spesi": 1.0}  # class III of PESI; either is the clinical sign of the ESC's table

DERIVED: dict[str, tuple[tuple[str, ...], Callable[..., Floats]]] = {
    "shock_index": (("heart_rate", "systolic_bp"), lambda pulse, pressure: pulse / pressure),
    # Hestia's first question: a pressure below 100 with a pulse above 100.
    "fast_pulse_at_low_pressure": (
        ("heart_rate", "systolic_bp"),
        lambda pulse, pressure: np.where(
            np.isnan(pulse) | np.isnan(pressure), np.nan, (pulse > 100) & (pressure < 100)
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class ScoreValues:
    """What scores are counted from: for each part the values of each of its concepts.

    `values[p][c]` is `(N,)` in the unit of the table, NaN = missing; a state is 1 or 0.
    """

    study_ids: tuple[str, ...]
    parts: tuple[ScorePart, ...]
    values: tuple[tuple[Floats, ...], ...]


def read_score_values(
    cohort: Cohort,
    study_ids: Sequence[str] | None = None,
    *,
    scores: Sequence[str],
    lookback_hours: float | None = None,
    lag_hours: float = 0.0,
    memory_limit: str = "2GB",
) -> ScoreValues:
    """Read what the parts of `scores` need, from what was recorded before each index time.

    Args:
        study_ids: which studies, in this order; None = all.
        lookback_hours: a measurement or an acute state older than this is missing (absent); None = as each part
            says.
        lag_hours: the cut lies so long before the index time.
        memory_limit: see `extract`.

    Raises:
        UsageError: an unknown score or lookback.
        RecordError: the cohort says why it has no scores, or its events cannot be read.
    """
    if cohort.no_scores:
        raise RecordError(f"Scores cannot be computed for this cohort: {cohort.no_scores}.")
    unknown = [score for score in scores if score not in SCORES]
    if unknown:
        raise UsageError(f"There is no score '{unknown[0]}': there are {', '.join(SCORES)}.")
    if lookback_hours is not None and lookback_hours <= 0:
        raise UsageError(f"lookback_hours is {lookback_hours:g}: it must be above 0.")
    ids = list(cohort.studies.index) if study_ids is None else list(study_ids)
    absent = [study_id for study_id in ids if study_id not in cohort.studies.index]
    if absent:
        raise UsageError(f"The cohort does not have study {absent[0]}.")
    needed = list(dict.fromkeys([*scores, *(ESC_SEVERE if "esc2019" in scores else ())]))
    parts = tuple(part for score in needed for part in score_parts(score))
    studies = cohort.studies.loc[ids]
    times = (studies["index_time"] - pd.Timedelta(hours=lag_hours)).to_numpy(dtype="datetime64[us]")
    known = {
        "age": studies["age_years"].to_numpy(dtype=np.float64),
        "male": studies["sex"].map({"M": 1.0, "F": 0.0}).to_numpy(dtype=np.float64),
    }
    events = None
    if cohort.events is not None and ids:
        wanted = {name for part in parts for each in part.concepts for name in _read_for(each)}
        events = _read(cohort, ids, wanted, lag_hours=lag_hours, memory_limit=memory_limit)
    read: dict[tuple[str, bool, float], Floats] = {}

    def value(name: str, part: ScorePart) -> Floats:
        if name in known:
            return known[name]
        if name in DERIVED:
            needed, derive = DERIVED[name]
            return derive(*(value(each, part) for each in needed))
        hours = _hours(part, lookback_hours)
        key = (name, part.is_state, hours)
        if key not in read:
            if events is not None:
                read[key] = (_state if part.is_state else _measured)(events, name, times, _oldest(times, hours))
            elif cohort.features is not None:
                read[key] = _tabled(cohort, ids, name, part.is_state)
            else:
                read[key] = np.full(len(ids), np.nan)
        return read[key]

    values = tuple(tuple(value(name, part) for name in part.concepts) for part in parts)
    return ScoreValues(study_ids=tuple(ids), parts=parts, values=values)


@dataclass(frozen=True, kw_only=True)
class _Latest:
    """Latest events of the codes that mean a wanted concept, and the studies that have any event of any code."""

    meanings: tuple[CodeMeaning, ...]
    table: pd.DataFrame
    with_record: NDArray[np.intp]


def _read_for(name: str) -> tuple[str, ...]:
    return DERIVED[name][0] if name in DERIVED else (name,)


def _read(cohort: Cohort, ids: list[str], wanted: set[str], *, lag_hours: float, memory_limit: str) -> _Latest:
    def chosen(part: LatestPart) -> tuple[pd.DataFrame, NDArray[np.intp]]:
        codes = [place for place, known in enumerate(part.meanings) if wanted & set(known.concepts)]
        studies = np.asarray(pd.unique(part.table["study"]), dtype=np.intp)
        return part.table[part.table["code"].isin(codes)], studies

    events = read_events_before(
        cohort, ids, chosen, options=FeatureOptions(lag_hours=lag_hours), memory_limit=memory_limit
    )
    told = events.told["study"].to_numpy(dtype=np.intp)
    return _Latest(
        meanings=events.meanings,
        table=pd.concat([table for table, _ in events.parts], ignore_index=True),
        with_record=np.unique(np.concatenate([told, *(studies for _, studies in events.parts)])),
    )


def _hours(part: ScorePart, lookback_hours: float | None) -> float:
    """What is too old for this part, -1 for nothing; a comorbidity counts however old it is."""
    is_acute = not part.is_state or not np.isnan(part.lookback_hours)
    hours = lookback_hours if lookback_hours is not None and is_acute else part.lookback_hours
    return -1.0 if np.isnan(hours) else hours


def _oldest(times: NDArray[np.datetime64], hours: float) -> NDArray[np.datetime64]:
    """The earliest moment that counts, `(N,)`."""
    if hours < 0:
        return np.full(len(times), np.datetime64("0001-01-01", "us"))
    return times - np.timedelta64(round(hours * 3_600_000_000), "us")


def _measured(events: _Latest, name: str, times: NDArray[np.datetime64], oldest: NDArray[np.datetime64]) -> Floats:
    """The latest plausible value, where it is not older than `oldest`."""
    codes = [
        place
        for place, known in enumerate(events.meanings)
        if known.concepts == (name,)
        and known.kind in ("vital", "lab")
        and conversion(name, known.unit, concepts()[name].unit) is not None
    ]
    latest = events.table[events.table["code"].isin(codes) & events.table["value"].notna()]
    rows = latest["study"].to_numpy(dtype=np.intp)
    when, value = latest["value_time"].to_numpy(), latest["value"].to_numpy(dtype=np.float64)
    recent = np.flatnonzero(when >= oldest[rows])
    rows, when, value = rows[recent], when[recent], value[recent]
    chosen = last_of_each(np.zeros(len(rows), dtype=np.intp), rows, when, value)
    found = np.full(len(times), np.nan)
    found[rows[chosen]] = value[chosen]
    return found


def _state(events: _Latest, name: str, times: NDArray[np.datetime64], oldest: NDArray[np.datetime64]) -> Floats:
    """1 where a code tells of it (a code with a number: where its latest is not 0), 0 where none does.

    NaN where the study has no event at all.
    """
    codes = [place for place, known in enumerate(events.meanings) if name in known.concepts]
    latest = events.table
    rows = latest["study"].to_numpy(dtype=np.intp)
    told = latest["code"].isin(codes).to_numpy() & ~(latest["value"] == 0).to_numpy()
    told &= latest["seen"].to_numpy() >= oldest[rows]
    found = np.full(len(times), np.nan)
    found[events.with_record] = 0.0
    found[rows[told]] = 1.0
    return found


def _tabled(cohort: Cohort, ids: list[str], name: str, is_state: bool) -> Floats:
    """From the column of features.csv that codes.csv ties to the concept, or that bears its name."""
    assert cohort.features is not None
    declared = code_rows(cohort.codes)
    tied = [
        column for column in cohort.features.columns if column in declared and declared[column].concept == name
    ]
    column = tied[0] if tied else name
    if column not in cohort.features or not pd.api.types.is_numeric_dtype(cohort.features[column]):
        return np.full(len(ids), np.nan)
    values = cohort.features[column].reindex(ids).to_numpy(dtype=np.float64)
    if is_state:
        return np.where(np.isnan(values), np.nan, (values != 0).astype(np.float64))
    known = concepts()[name]
    change = conversion(name, declared[column].unit if column in declared else "", known.unit)
    if change is None:
        return np.full(len(ids), np.nan)
    values = change.apply(values)
    return np.where((values >= known.low) & (values <= known.high), values, np.nan)
