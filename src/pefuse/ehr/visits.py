"""Visit history: how often and how long a patient was in hospital, cut at the index time.

Only what has happened before the index is used. A stay that is still open then counts up to the index, whatever
its end turns out to be; a stay whose end was never written counts as a visit of no length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.vocabulary import VISIT_SETTINGS, CodeMeaning, visit_mark

__all__ = ["VisitFeature", "visit_features"]

LONGEST_OPEN_DAYS = 365.0  # a stay open for longer has lost its end
YEAR_DAYS = 365.0
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class VisitFeature:
    """One number a study, `(N,)`, NaN = missing."""

    key: str
    name: str
    unit: str
    values: NDArray[np.float64]


def visit_features(
    told: pd.DataFrame,
    meanings: tuple[CodeMeaning, ...],
    index_times: NDArray[np.datetime64],
    has_record: NDArray[np.bool_],
) -> list[VisitFeature]:
    """Counts, days and delays from the visit events in `told` (see `EventsBefore`).

    Counts and days are 0 for a study with a record and no visit, NaN for a study without a record.
    """
    stays = _stays(told, meanings, index_times)
    features = [feature for setting in VISIT_SETTINGS for feature in _of_setting(stays, setting, has_record)]
    if len(stays):
        features += [_since_arrival(stays, index_times), _since_discharge(stays, index_times)]
    return features


def _stays(
    told: pd.DataFrame, meanings: tuple[CodeMeaning, ...], index_times: NDArray[np.datetime64]
) -> pd.DataFrame:
    """One row a visit: study, setting, start, end (both at or before the index), open (not ended by then)."""
    marks = {
        place: visit_mark(known.code, known.key) for place, known in enumerate(meanings) if known.kind == "visit"
    }
    events = told[told["code"].isin(list(marks)) & told["time"].notna()].copy()
    events["setting"] = [marks[code].setting for code in events["code"]]
    events["edge"] = [marks[code].edge for code in events["code"]]
    events["index_time"] = index_times[events["study"].to_numpy(dtype=np.intp)]
    return pd.concat([_paired(events), _single(events)], ignore_index=True)


def _paired(events: pd.DataFrame) -> pd.DataFrame:
    """Each start with the end that follows it, if one does before the next start."""
    edges = events[events["edge"].isin(["start", "end"])]
    edges = edges.sort_values(["study", "setting", "time", "edge"], kind="stable").reset_index(drop=True)
    following = edges[["study", "setting", "time", "edge"]].shift(-1)
    same = (following["study"] == edges["study"]) & (following["setting"] == edges["setting"])
    ended = same & (following["edge"] == "end")
    open_for = _days(edges["time"], edges["index_time"])
    is_open = ~same & (open_for <= LONGEST_OPEN_DAYS)
    end = edges["time"].mask(ended, following["time"]).mask(is_open, edges["index_time"])
    stays = edges[["study", "setting", "index_time"]].assign(start=edges["time"], end=end, open=is_open)
    return pd.concat([stays[edges["edge"] == "start"], _endings(edges)], ignore_index=True)


def _endings(edges: pd.DataFrame) -> pd.DataFrame:
    """Ends that tell their days and have no start, as where the record begins in the middle of a stay."""
    before = edges[["study", "setting", "edge"]].shift(1)
    same = (before["study"] == edges["study"]) & (before["setting"] == edges["setting"])
    alone = (edges["edge"] == "end") & edges["number"].notna() & ~(same & (before["edge"] == "start"))
    return _single(edges[alone].assign(edge="days"))


def _single(events: pd.DataFrame) -> pd.DataFrame:
    """Visits told by one event: `whole` begins at its time, `days` ends then; never past the index."""
    single = events[events["edge"].isin(["whole", "days"])]
    length = single["number"].fillna(0.0).clip(0.0, 36500.0) * DAY
    at_start = single["edge"] == "whole"
    start = single["time"].where(at_start, single["time"] - length)
    planned_end = single["time"].where(~at_start, single["time"] + length)
    is_open = planned_end > single["index_time"]
    end = planned_end.mask(is_open, single["index_time"])
    return single[["study", "setting", "index_time"]].assign(start=start, end=end, open=is_open)


def _of_setting(stays: pd.DataFrame, setting: str, has_record: NDArray[np.bool_]) -> list[VisitFeature]:
    mine = stays[stays["setting"] == setting]
    if mine.empty:
        return []
    year_ago = mine["index_time"] - YEAR_DAYS * DAY
    recent = mine["end"] >= year_ago
    count = np.ones(len(mine))
    days = _days(mine["start"], mine["end"]).to_numpy()
    recent_days = _days(mine["start"].clip(lower=year_ago), mine["end"]).clip(lower=0.0).to_numpy()
    care = setting if setting.endswith("care") else f"{setting} care"
    columns = [
        ("visits", f"{setting} visits", "", count),
        ("visits_year", f"{setting} visits in the last year", "", count * recent.to_numpy()),
    ]
    if setting in ("inpatient", "intensive care"):
        columns += [
            ("days", f"days in {care}", "days", days),
            ("days_year", f"days in {care} in the last year", "days", recent_days),
        ]
    return [
        VisitFeature(
            key=f"visit//{setting}//{key}", name=name, unit=unit, values=_sum_by_study(mine, weights, has_record)
        )
        for key, name, unit, weights in columns
    ]


def _days(start: pd.Series, end: pd.Series) -> pd.Series:
    return (end - start).dt.total_seconds() / 86400


def _sum_by_study(
    stays: pd.DataFrame, weights: NDArray[np.float64], has_record: NDArray[np.bool_]
) -> NDArray[np.float64]:
    total = np.bincount(stays["study"].to_numpy(dtype=np.intp), weights=weights, minlength=len(has_record))
    return np.where(has_record, total, np.nan)


def _since_arrival(stays: pd.DataFrame, index_times: NDArray[np.datetime64]) -> VisitFeature:
    """From the start of the earliest visit that is still open: a move within the hospital does not count."""
    arrived = stays[stays["open"]].groupby("study")["start"].min()
    return VisitFeature(
        key="visit//hours_since_arrival",
        name="hours since arrival",
        unit="hours",
        values=_elapsed(arrived, index_times) * 24.0,
    )


def _since_discharge(stays: pd.DataFrame, index_times: NDArray[np.datetime64]) -> VisitFeature:
    ended = stays[~stays["open"] & stays["setting"].isin(["inpatient", "intensive care"])]
    return VisitFeature(
        key="visit//days_since_discharge",
        name="days since the last discharge",
        unit="days",
        values=_elapsed(ended.groupby("study")["end"].max(), index_times),
    )


def _elapsed(times: pd.Series, index_times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Days from each study's time (indexed by row number) to its index, NaN where there is none."""
    days = np.full(len(index_times), np.nan)
    rows = times.index.to_numpy(dtype=np.intp)
    days[rows] = (index_times[rows] - times.to_numpy()) / DAY.to_timedelta64()
    return days
