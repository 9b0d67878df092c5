"""What a cohort table says of its patients: a handful of measurements, conditions and visits before each scan.

Those of the paper's Table 4, and the laboratory values that its clinicians ask for. The latest value counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from pefuse.ehr.record import RawRecord
from pefuse.ehr.score_table import Floats
from pefuse.ehr.score_values import ScoreValues
from pefuse.vocabulary import concepts

__all__ = ["Characteristic", "characteristics"]

Group = Literal["History", "Vital signs", "Laboratory"]
Kind = Literal["number", "skewed", "state", "text"]

VITALS = ("heart_rate", "systolic_bp", "respiratory_rate", "temperature", "spo2")
LABS = (
    "lactate",
    "troponin_t",
    "troponin_i",
    "bnp",
    "nt_probnp",
    "d_dimer",
    "creatinine",
    "sodium",
    "crp",
    "hemoglobin",
    "white_cells",
    "platelets",
)
STATES = ("cancer", "heart_failure", "chronic_lung_disease", "altered_mental_status")
TEXTS = ("smoking", "race")
COUNTS = (
    "visit//emergency//visits",
    "visit//inpatient//days_year",
    "count//medication//",
    "count//diagnosis//",
)
# A fact with more levels, or longer ones, is free text: not for a table, and it may tell of a person.
MOST_LEVELS, LONGEST_LEVEL = 8, 30


@dataclass(frozen=True, kw_only=True)
class Characteristic:
    """One characteristic of N studies.

    kind: `number` (for mean and SD), `skewed` (for median and quartiles), `state` (1 or 0) or `text` (a level).
    `values` `(N,)`: NaN, and "" of a text, is missing.
    """

    name: str
    label: str
    unit: str
    group: Group
    kind: Kind
    values: pd.Series[Any] = field(repr=False)


def characteristics(record: RawRecord | None, scores: ScoreValues | None) -> list[Characteristic]:
    """Those that a run knows, in the order of a table; one that no study has is left out.

    Args:
        record: of models of the record; None = the run has none.
        scores: what clinical scores were counted from, which alone says of a condition whether it is there.
    """
    of_scores = _of_scores(scores)
    found = [
        *_texts(record),
        *(_made(name, "History", "state", of_scores.get(name, _tabled(record, name))) for name in STATES),
        *_counts(record),
        *(_measured(name, "Vital signs", "number", record, of_scores) for name in VITALS),
        *(_measured(name, "Laboratory", "skewed", record, of_scores) for name in LABS),
    ]
    return [one for one in found if one is not None and _known(one.values)]


def _known(values: pd.Series[Any]) -> bool:
    return bool((values.notna() & (values != "")).any())


def _of_scores(scores: ScoreValues | None) -> dict[str, pd.Series[Any]]:
    if scores is None:
        return {}
    index = pd.Index(scores.study_ids, name="study_id", dtype="str")
    return {
        name: pd.Series(each, index=index)
        for part, values in zip(scores.parts, scores.values, strict=True)
        if part.score == "pesi"  # others have a lookback of their own
        for name, each in zip(part.concepts, values, strict=True)
    }


def _measured(
    name: str, group: Group, kind: Kind, record: RawRecord | None, of_scores: dict[str, pd.Series[Any]]
) -> Characteristic | None:
    place = record.place(name) if record is not None else None
    if record is None or place is None:
        return _made(name, group, kind, of_scores.get(name))
    if record.columns[place].kind != "continuous":
        return None  # a column of features.csv that bears the name and holds words
    made = _made(name, group, kind, _series(record, record.numbers(place)))
    unit = record.columns[place].unit or concepts()[name].unit
    return replace(made, unit=unit) if made is not None else None


def _made(name: str, group: Group, kind: Kind, values: pd.Series[Any] | None) -> Characteristic | None:
    if values is None:
        return None
    known = concepts()[name]
    return Characteristic(name=name, label=known.label, unit=known.unit, group=group, kind=kind, values=values)


def _tabled(record: RawRecord | None, name: str) -> pd.Series[Any] | None:
    """A state as a column of features.csv."""
    place = record.place(name) if record is not None else None
    if record is None or place is None or record.columns[place].family != "table":
        return None
    if record.columns[place].kind == "categorical":
        return None
    values = record.numbers(place)
    return _series(record, values) if set(values[~np.isnan(values)]) <= {0.0, 1.0} else None


def _counts(record: RawRecord | None) -> Iterator[Characteristic]:
    for key in COUNTS:
        place = record.place(key) if record is not None else None
        if record is not None and place is not None:
            column = record.columns[place]
            yield Characteristic(
                name=key.strip("/").replace("//", "_"),
                label=column.name,
                unit="",  # its name says what is counted
                group="History",
                kind="skewed",
                values=_series(record, record.numbers(place)),
            )


def _texts(record: RawRecord | None) -> Iterator[Characteristic]:
    for name in TEXTS:
        place = record.place(f"demographic//{name}") if record is not None else None
        if record is None or place is None or record.columns[place].kind != "categorical":
            continue
        levels = [str(level) for level in record.levels(place)]
        different = set(levels) - {""}
        if len(different) <= MOST_LEVELS and all(len(level) <= LONGEST_LEVEL for level in different):
            values = pd.Series(levels, index=_index(record), dtype="str")
            label = concepts()[name].label
            yield Characteristic(name=name, label=label, unit="", group="History", kind="text", values=values)


def _series(record: RawRecord, values: Floats) -> pd.Series[Any]:
    return pd.Series(values, index=_index(record))


def _index(record: RawRecord) -> pd.Index[str]:
    return pd.Index(record.study_ids, name="study_id", dtype="str")
