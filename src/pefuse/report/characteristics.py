"""Who the patients are: each characteristic by split and by outcome, and how far the groups lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
import pandas as pd

from pefuse.evaluation import (
    category_difference,
    difference_by_chance,
    rank_difference,
    standardised_difference,
)
from pefuse.report.names import CLINICAL_SCORES, model_name
from pefuse.report.run_folder import RunFolder

__all__ = ["CROSSED", "GROUPS", "CohortTable", "Difference", "Kind", "Row", "Summary", "cohort_table"]

Kind = Literal["total", "range", "number", "skewed", "state", "text"]

GROUPS = ("development", "test", "survived", "died")
CROSSED = ("development, survived", "development, died", "test, survived", "test, died")
WORTH_KNOWING = 0.1  # Austin 2009: below it two groups count as balanced
MOST_LEVELS = 8
OTHERS = "others"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A characteristic in one group: of `studies` those that are `known`, and what its kind asks for.

    `count` is of studies in a state or level, or a total; `low` and `high` are quartiles, or the ends of a range.
    """

    studies: int
    known: int
    count: int | None = None
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A standardised difference of two groups, without its sign; `marked`: worth knowing and beyond chance."""

    value: float
    chance: float  # what it stays below in 19 of 20 characteristics, were the groups alike
    marked: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A characteristic, or one `level` of it. A difference is None where it cannot be told or makes no sense."""

    heading: str
    name: str
    label: str
    unit: str = ""
    kind: Kind
    level: str = ""
    cells: Mapping[str, Summary] = field(repr=False)  # by group, of GROUPS and CROSSED
    by_split: Difference | None = None
    by_outcome: Difference | None = None
    missing: int = 0
    decimals: int = 0


@dataclass(frozen=True, kw_only=True)
class CohortTable:
    """All rows, and how many studies each group has."""

    sizes: Mapping[str, int]
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def studies(self) -> int:
        return self.sizes["development"] + self.sizes["test"]

    @property
    def blocks(self) -> list[tuple[str, list[Row]]]:
        """The rows by heading, in order; the first block has none ("")."""
        return [(heading, list(rows)) for heading, rows in groupby(self.rows, key=lambda row: row.heading)]


def cohort_table(run: RunFolder) -> CohortTable:
    """The cohort table of the studies that a run has predictions of."""
    people = _people(run)
    members = _members(people)
    rows = [*_totals(people, members), *_of_studies(run, people, members), *_of_scores(run, people, members)]
    for known in run.cohort.get("characteristics") or []:
        if known["name"] in run.characteristics.columns:
            values = run.characteristics[known["name"]].reindex(people.index)
            rows += _rows(
                values,
                members,
                heading=known["group"],
                name=known["name"],
                label=_capitalised(known["label"]),
                unit=known["unit"],
                kind=known["kind"],
            )
    return CohortTable(sizes={name: len(index) for name, index in members.items()}, rows=tuple(rows))


def _capitalised(label: str) -> str:
    """`heart rate` as a line begins; names such as NT-proBNP or pH stay."""
    return label if any(letter.isupper() for letter in label.split()[0]) else label[:1].upper() + label[1:]


def _people(run: RunFolder) -> pd.DataFrame:
    """One row a study: patient_id, died, test."""
    once = run.predictions.drop_duplicates("study_id").set_index("study_id")
    return pd.DataFrame(
        {
            "patient_id": once["patient_id"],
            "died": once["label"].astype(bool),
            "test": once["split"].eq("test"),
        }
    )


def _members(people: pd.DataFrame) -> dict[str, pd.Index[str]]:
    masks = {"development": ~people["test"], "test": people["test"]}
    masks |= {"survived": ~people["died"], "died": people["died"]}
    for split in ("development", "test"):
        for outcome in ("survived", "died"):
            masks[f"{split}, {outcome}"] = masks[split] & masks[outcome]
    return {name: people.index[mask] for name, mask in masks.items()}


def _totals(people: pd.DataFrame, members: Mapping[str, pd.Index[str]]) -> Iterator[Row]:
    """Patients, and of the splits the deaths."""
    patients = {
        name: Summary(studies=len(index), known=len(index), count=people.loc[index, "patient_id"].nunique())
        for name, index in members.items()
    }
    yield Row(heading="", name="patients", label="Patients", kind="total", cells=patients)
    died = people["died"].astype(float)
    deaths = {name: _summary(died.loc[members[name]], "state") for name in ("development", "test")}
    yield Row(
        heading="",
        name="died",
        label="Died",
        kind="state",
        cells=deaths,
        by_split=_difference(died.loc[members["development"]], died.loc[members["test"]], "state"),
    )


def _of_studies(run: RunFolder, people: pd.DataFrame, members: Mapping[str, pd.Index[str]]) -> Iterator[Row]:
    if run.studies.empty:
        return
    known = run.studies.reindex(people.index)
    women = known["sex"].map({"F": 1.0, "M": 0.0})
    yield from _rows(known["age_years"], members, heading="", name="age", label="Age", unit="years", kind="number")
    yield from _rows(women, members, heading="", name="female", label="Women", kind="state")
    yield from _rows(known["year"], members, heading="", name="year", label="Year of the scan", kind="range")
    yield from _rows(known["site"], members, heading="", name="site", label="Site", kind="text")


def _of_scores(run: RunFolder, people: pd.DataFrame, members: Mapping[str, pd.Index[str]]) -> Iterator[Row]:
    """Points of the clinical scores, which every fold and seed has the same."""
    for name in sorted(CLINICAL_SCORES):
        rows = run.predictions[run.predictions["model"] == name]
        if rows.empty:
            continue
        points = rows.drop_duplicates("study_id").set_index("study_id")["logit"].reindex(people.index)
        label = model_name(name).label
        yield from _rows(
            points, members, heading="Clinical scores", name=name, label=label, unit="points", kind="skewed"
        )


def _rows(
    values: pd.Series[Any],
    members: Mapping[str, pd.Index[str]],
    *,
    heading: str,
    name: str,
    label: str,
    kind: Kind,
    unit: str = "",
) -> list[Row]:
    """One row; of a text also one a level. None where no study has it, or all have the same text."""
    values = _levels(values) if kind == "text" else values.astype(float)
    known = values[values.ne("")] if kind == "text" else values.dropna()
    if known.empty or (kind == "text" and known.nunique() < 2):
        return []
    compared = kind != "range"  # years part the splits by design
    row = Row(
        heading=heading,
        name=name,
        label=label,
        unit=unit,
        kind=kind,
        cells={group: _summary(values.loc[index], kind) for group, index in members.items()},
        by_split=_of_pair(values, members, "development", "test", kind) if compared else None,
        by_outcome=_of_pair(values, members, "survived", "died", kind) if compared else None,
        missing=len(values) - len(known),
        decimals=_decimals(known, kind),
    )
    return [row, *(_level(row, values, members, level) for level in _in_order(known) if kind == "text")]


def _decimals(known: pd.Series[Any], kind: Kind) -> int:
    """Of a row: three digits or so, and none where only whole numbers occur."""
    if kind == "number":
        return 1 if known.std(ddof=0) >= 1 else 2
    if kind != "skewed" or known.eq(known.round()).all():
        return 0
    size = abs(float(known.median()))
    return 0 if size >= 100 or size == 0 else 1 if size >= 5 else 2


def _levels(values: pd.Series[Any]) -> pd.Series[Any]:
    """Texts, "" = missing; rare levels beyond the most that a table bears are one."""
    texts = values.astype(object).where(values.notna(), "").astype(str)  # an empty column was read as numbers
    counts = texts[texts != ""].value_counts()
    if len(counts) <= MOST_LEVELS:
        return texts
    kept = set(counts.index[: MOST_LEVELS - 1]) | {""}
    return texts.where(texts.isin(kept), OTHERS)


def _in_order(known: pd.Series[Any]) -> list[str]:
    return sorted(known.unique(), key=lambda level: (level == OTHERS, level))


def _level(row: Row, values: pd.Series[Any], members: Mapping[str, pd.Index[str]], level: str) -> Row:
    known = values.where(values.ne(""))
    here = known.eq(level).astype(float).where(known.notna())
    cells = {group: _summary(here.loc[index], "state") for group, index in members.items()}
    return Row(
        heading=row.heading, name=row.name, label=row.label, unit="", kind="state", level=level, cells=cells
    )


def _of_pair(
    values: pd.Series[Any], members: Mapping[str, pd.Index[str]], first: str, second: str, kind: Kind
) -> Difference | None:
    return _difference(values.loc[members[first]], values.loc[members[second]], kind)


def _difference(first: pd.Series[Any], second: pd.Series[Any], kind: Kind) -> Difference | None:
    if kind in ("state", "text"):
        a, b = ([_name(value) for value in group] for group in (first, second))
        value, categories = category_difference(a, b), max(2, len({*a, *b} - {""}))
        known = [sum(name != "" for name in group) for group in (a, b)]
    else:
        measure = rank_difference if kind == "skewed" else standardised_difference
        value, categories = abs(measure(first.to_numpy(), second.to_numpy())), 2
        known = [int(first.notna().sum()), int(second.notna().sum())]
    if not np.isfinite(value):
        return None
    chance = difference_by_chance(known[0], known[1], categories=categories)
    return Difference(value=value, chance=chance, marked=value > max(chance, WORTH_KNOWING))


def _name(value: Any) -> str:
    return "" if value != value else str(value)  # NaN is not itself


def _summary(values: pd.Series[Any], kind: Kind) -> Summary:
    if kind == "text":
        return Summary(studies=len(values), known=int(values.ne("").sum()))
    known = values.dropna().to_numpy(dtype=np.float64)
    base = {"studies": len(values), "known": len(known)}
    if not len(known):
        return Summary(**base)
    if kind == "state":
        return Summary(**base, count=int(known.sum()))
    if kind == "range":
        return Summary(**base, low=float(known.min()), high=float(known.max()))
    if kind == "number":
        sd = float(known.std(ddof=1)) if len(known) > 1 else None
        return Summary(**base, mean=float(known.mean()), sd=sd)
    low, median, high = np.quantile(known, [0.25, 0.5, 0.75])
    return Summary(**base, median=float(median), low=float(low), high=float(high))
