"""Clinical scores at the index time: PESI (Aujesky 2005) and simplified PESI (Jiménez 2010).

The points stand in `scores.csv` (concept, unit, cut, points, source), the classes and their published 30-day
mortality in `score_classes.csv`; this file only applies them. A measured part is the latest value before
the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr.events import EventsBefore, last_of_each, read_events_before
from pefuse.errors import UsageError
from pefuse.types import Cohort
from pefuse.vocabulary import code_rows, concepts, conversion, read_table

__all__ = ["ScoreClass", "ScorePart", "clinical_scores", "score_classes", "score_parts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ScorePart:
    """A line of a score: `points` if the value of one of `concepts`, in `unit`, passes `test` against `cut`.

    test: `present` (a state), `<`, `>=`, `completed >` (whole years above `cut`) or `completed` (`points` for each
    whole year). `lookback_hours`: an older event does not count; NaN = any age of it does.
    """

    score: str
    name: str
    concepts: tuple[str, ...]
    unit: str
    test: str
    cut: float
    points: float
    lookback_hours: float
    source: str


@dataclass(frozen=True, kw_only=True)
class ScoreClass:
    """A class of a score, from `lowest_points` up to the next; `risk` is the middle of its published range."""

    score: str
    name: str
    lowest_points: float
    risk: float


def clinical_scores(
    cohort: Cohort,
    study_ids: Sequence[str] | None = None,
    *,
    missing: Literal["normal", "refuse"] = "normal",
    lookback_hours: float | None = None,
    memory_limit: str = "2GB",
) -> pd.DataFrame:
    """PESI and sPESI of each study, from what was recorded before its index time.

    Args:
        cohort: with events, or with a table of features whose columns are concepts (by name or by codes.csv).
        study_ids: which studies, in this order; None = all.
        missing: what a part without a value counts: `normal` = 0 points (as the scores were derived), `refuse` =
            the whole score is NaN. Either way it is counted. Without an age there is no score at all. A
            comorbidity that no code tells of is absent, unless nothing at all is known of the study: then missing.
        lookback_hours: a vital sign or altered mental status older than this counts as missing (absent);
            None = as `scores.csv` says.
        memory_limit: see `extract`.

    Returns:
        Indexed by study_id; for each score S (pesi, spesi): `S_points`, `S_class` ("" = no score), `S_risk` (the
        class's published 30-day mortality, middle of its range), `S_missing` (number of missing parts) and one
        column `S_part_<part>` with its points, NaN = missing.
    """
    if missing not in ("normal", "refuse"):
        raise UsageError(f"missing is '{missing}': it must be normal or refuse.")
    if lookback_hours is not None and lookback_hours <= 0:
        raise UsageError(f"lookback_hours is {lookback_hours:g}: it must be above 0.")
    ids = list(cohort.studies.index) if study_ids is None else list(study_ids)
    values = _values(cohort, ids, lookback_hours, memory_limit)
    table = pd.DataFrame(index=pd.Index(ids, name="study_id", dtype="str"))
    for score in dict.fromkeys(part.score for part in score_parts()):
        points = {part.name: _points(part, values) for part in score_parts() if part.score == score}
        table = table.assign(**_score_columns(score, points, missing))
    return table


@cache
def score_parts() -> tuple[ScorePart, ...]:
    """The lines of `scores.csv`."""
    return tuple(
        ScorePart(
            score=row["score"],
            name=row["part"],
            concepts=tuple(row["concepts"].split("|")),
            unit=row["unit"],
            test=row["test"],
            cut=float(row["cut"] or "nan"),
            points=float(row["points"]),
            lookback_hours=float(row["lookback_hours"] or "nan"),
            source=row["source"],
        )
        for row in read_table("scores.csv", package="pefuse.ehr")
    )


@cache
def score_classes(score: str) -> tuple[ScoreClass, ...]:
    """The classes of a score, from low to high."""
    return tuple(
        ScoreClass(
            score=score,
            name=row["class"],
            lowest_points=float(row["lowest_points"]),
            risk=(float(row["mortality_low_percent"]) + float(row["mortality_high_percent"])) / 200,
        )
        for row in read_table("score_classes.csv", package="pefuse.ehr")
        if row["score"] == score
    )


# --- points

_TESTS: dict[str, Callable[[Floats, ScorePart], Floats]] = {
    "present": lambda value, part: value * part.points,
    "<": lambda value, part: np.where(value < part.cut, part.points, 0.0),
    ">=": lambda value, part: np.where(value >= part.cut, part.points, 0.0),
    "completed >": lambda value, part: np.where(np.floor(value) > part.cut, part.points, 0.0),
    "completed": lambda value, part: np.floor(value) * part.points,
}


def _points(part: ScorePart, values: dict[str, Floats]) -> Floats:
    """Points of one part `(N,)`, NaN = missing; of several concepts the one that gives most."""
    each = []
    for name in part.concepts:
        value = values[name]
        each.append(np.where(np.isnan(value), np.nan, _TESTS[part.test](value, part)))
    return np.asarray(np.fmax.reduce(each))


def _score_columns(score: str, points: dict[str, Floats], missing: str) -> dict[str, Floats | list[str]]:
    parts = np.stack(list(points.values()))
    lacking = np.isnan(parts).sum(axis=0)
    total = np.nansum(parts, axis=0)
    refused = np.isnan(points["age"]) | ((lacking > 0) & (missing == "refuse"))
    total = np.where(refused, np.nan, total)
    classes = score_classes(score)
    lowest = np.array([level.lowest_points for level in classes])
    place = np.searchsorted(lowest, np.where(refused, 0.0, total), side="right") - 1
    risks = np.array([level.risk for level in classes])[place]
    return {
        f"{score}_points": total,
        f"{score}_class": ["" if bad else classes[at].name for bad, at in zip(refused, place, strict=True)],
        f"{score}_risk": np.where(refused, np.nan, risks),
        f"{score}_missing": lacking,
        **{f"{score}_part_{name}": value for name, value in points.items()},
    }


# --- values


def _values(cohort: Cohort, ids: list[str], lookback_hours: float | None, memory_limit: str) -> dict[str, Floats]:
    """Each concept that a part needs: `(N,)` in the unit of the table, states as 1 or 0, NaN = missing."""
    studies = cohort.studies.loc[ids]
    values = {
        "age": studies["age_years"].to_numpy(dtype=np.float64),
        "male": studies["sex"].map({"M": 1.0, "F": 0.0}).to_numpy(dtype=np.float64),
    }
    events = None
    if cohort.events is not None and ids:
        events = read_events_before(cohort, ids, memory_limit=memory_limit)
    for part in score_parts():
        for name in part.concepts:
            if name in values:
                continue
            is_state = part.test == "present"
            if events is not None:
                times = studies["index_time"].to_numpy(dtype="datetime64[us]")
                oldest = _oldest(part, times, lookback_hours)
                values[name] = (_state if is_state else _measured)(events, name, times, oldest)
            elif cohort.features is not None:
                values[name] = _tabled(cohort, ids, name, is_state)
            else:
                values[name] = np.full(len(ids), np.nan)
    return values


def _oldest(
    part: ScorePart, times: NDArray[np.datetime64], lookback_hours: float | None
) -> NDArray[np.datetime64]:
    """The earliest moment that counts for this part, `(N,)`; a comorbidity counts however old it is."""
    is_acute = part.test != "present" or not np.isnan(part.lookback_hours)
    hours = lookback_hours if lookback_hours is not None and is_acute else part.lookback_hours
    if np.isnan(hours):
        return np.full(len(times), np.datetime64("0001-01-01", "us"))
    return times - np.timedelta64(round(hours * 3_600_000_000), "us")


def _measured(
    events: EventsBefore, name: str, times: NDArray[np.datetime64], oldest: NDArray[np.datetime64]
) -> Floats:
    """The latest plausible value, where it is not older than `oldest`."""
    codes = [
        place
        for place, known in enumerate(events.meanings)
        if known.concepts == (name,)
        and known.kind in ("vital", "lab")
        and conversion(name, known.unit, concepts()[name].unit) is not None
    ]
    latest = events.latest[events.latest["code"].isin(codes) & events.latest["value"].notna()]
    rows = latest["study"].to_numpy(dtype=np.intp)
    when, value = latest["value_time"].to_numpy(), latest["value"].to_numpy(dtype=np.float64)
    recent = np.flatnonzero(when >= oldest[rows])
    rows, when, value = rows[recent], when[recent], value[recent]
    chosen = last_of_each(np.zeros(len(rows), dtype=np.intp), rows, when, value)
    found = np.full(len(times), np.nan)
    found[rows[chosen]] = value[chosen]
    return found


def _state(
    events: EventsBefore, name: str, times: NDArray[np.datetime64], oldest: NDArray[np.datetime64]
) -> Floats:
    """1 where a code tells of it (a code with a number: where its latest is not 0), 0 where none does.

    NaN where the study has no event at all.
    """
    codes = [place for place, known in enumerate(events.meanings) if name in known.concepts]
    latest = events.latest
    rows = latest["study"].to_numpy(dtype=np.intp)
    told = latest["code"].isin(codes).to_numpy() & ~(latest["value"] == 0).to_numpy()
    told &= latest["seen"].to_numpy() >= oldest[rows]
    found = np.full(len(times), np.nan)
    found[rows] = 0.0
    found[events.told["study"].to_numpy(dtype=np.intp)] = 0.0
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
