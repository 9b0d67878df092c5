"""Measurements over time: hours since the last, how many, their change a day, the lowest and highest of a day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr.entries import Entries
from pefuse.ehr.events import LatestPart
from pefuse.ehr.options import Course
from pefuse.ehr.record import RawColumn
from pefuse.types import FeatureFamily
from pefuse.vocabulary import CodeMeaning, concepts, conversion

__all__ = ["MEASURED", "courses", "hours_since", "measured_column"]

MEASURED: dict[str, FeatureFamily] = {"vital": "vital", "lab": "lab", "score": "score"}


def courses(course: pd.DataFrame, meanings: Sequence[CodeMeaning], wanted: Sequence[Course]) -> list[Entries]:
    """The columns that were asked for but hours_since, of each measurement that has a value anywhere.

    Args:
        course: see `EventsBefore.course`.
    """
    columns = {known.key: measured_column(known) for known in meanings if known.kind in MEASURED}
    found = []
    for each, field, words, per in (
        ("count", "count", "number of values", ""),
        ("trend", "slope", "change a day", " a day"),
        ("worst_24h", "lowest", "lowest of 24 hours", None),
        ("worst_24h", "highest", "highest of 24 hours", None),
    ):
        if each in wanted:
            table = course[course[field].notna() & course["key"].isin(list(columns))]
            found.append(_entries(table.rename(columns={field: "told"}), columns, field, words, per))
    return found


def hours_since(events: LatestPart, index_times: NDArray[np.datetime64]) -> Entries:
    """How long before the cut the last value of each measurement was."""
    columns = {known.key: measured_column(known) for known in events.meanings if known.kind in MEASURED}
    keys = np.array([known.key for known in events.meanings], dtype=object)
    latest = events.table[events.table["value"].notna()]
    table = pd.DataFrame(
        {
            "study": latest["study"].to_numpy(),
            "key": keys[latest["code"].to_numpy(dtype=np.intp)],
            "time": latest["value_time"].to_numpy(),
        }
    )
    last = table[table["key"].isin(list(columns))].groupby(["key", "study"], as_index=False)["time"].max()
    waited = index_times[last["study"].to_numpy(dtype=np.intp)] - last["time"].to_numpy()
    hours = waited / np.timedelta64(1, "h")
    return _entries(last.assign(told=hours), columns, "hours_since", "hours since the last value", "hours")


def _entries(
    table: pd.DataFrame, columns: dict[str, RawColumn], field: str, words: str, unit: str | None
) -> Entries:
    """unit: of the column; None = that of the measurement, " a day" = that a day."""
    used = sorted(table["key"].unique(), key=lambda key: columns[key].name.lower())
    place_of = {key: place for place, key in enumerate(used)}
    made = []
    for key in used:
        own = columns[key]
        name = own.name.removesuffix(f" ({own.unit})")
        its = own.unit if unit is None else f"{own.unit}{unit}".strip() if unit == " a day" else unit
        shown = f"{name}: {words}" + (f" ({its})" if its else "")
        made.append(
            RawColumn(key=f"{own.key}//{field}", name=shown, family=own.family, kind="continuous", unit=its)
        )
    return Entries(
        columns=made,
        rows=table["study"].to_numpy(dtype=np.intp),
        places=np.array([place_of[key] for key in table["key"]], dtype=np.intp),
        values=table["told"].to_numpy(dtype=np.float64),
    )


def measured_column(known: CodeMeaning) -> RawColumn:
    """A concept in its own unit; or, where there is no concept or no way to its unit, the code for itself."""
    unit, key, name = known.unit, known.key, known.name
    if known.concepts:
        target = concepts()[known.concepts[0]].unit
        if conversion(known.concepts[0], known.unit, target) is None:
            key = f"{known.key}//{known.unit}"
        else:
            unit = target
    shown = f"{name} ({unit})" if unit else name
    return RawColumn(key=key, name=shown, family=MEASURED[known.kind], kind="continuous", unit=unit)
