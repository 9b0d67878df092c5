"""Ways to divide the test studies into groups: by sex, age and site, and by any column that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pefuse.errors import RunError
from pefuse.evaluation import age_groups
from pefuse.report.redaction import without_paths
from pefuse.report.run_folder import RunFolder

__all__ = ["AGES", "SEXES", "Grouping", "groupings_of"]

SEXES = {"M": "male", "F": "female"}
AGES = ("0–50", "50–70", "70–95")
MOST_GROUPS = 12  # more are no groups that one can judge
MOST_NUMBERS = 6  # a column of numbers with more distinct values is cut into thirds


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Studies in groups: `of` maps study_id to its group ("" = not known); `order` is how they are shown."""

    name: str
    label: str
    of: pd.Series[str] = field(repr=False)
    order: tuple[str, ...]
    asked: bool = False  # by the user, not by us


def groupings_of(run: RunFolder, *, asked: Sequence[str] = ()) -> list[Grouping]:
    """Sex, age, site where there are several, and the columns that the user asked for.

    A column may be one of `studies.csv`, of `subgroups.csv` (the user's own, beside it: study_id and a column a
    grouping) or of `characteristics.csv`. Numbers of many values are cut into thirds of equal size.

    Raises:
        RunError: a column that is nowhere, that is empty, or that has too many values to be groups.
    """
    test = run.predictions.loc[run.predictions["split"] == "test", "study_id"].astype(str).unique()
    ours = [] if run.studies.empty else _ours(run.studies.reindex(test))
    named = {one.name for one in ours}
    columns = [column for column in dict.fromkeys(asked) if column not in named]
    return ours + [_asked(run, column, test) for column in columns]


def _ours(studies: pd.DataFrame) -> list[Grouping]:
    sex = studies["sex"].map(SEXES).fillna("").astype(str)
    age = pd.Series(age_groups(studies["age_years"].to_numpy(dtype=np.float64)), index=studies.index)
    found = [
        Grouping(name="sex", label="Sex", of=sex, order=tuple(SEXES.values())),
        Grouping(name="age", label="Age, years", of=age, order=AGES),
    ]
    site = studies["site"].map(_text)
    if (sites := sorted(set(site) - {""})) and 1 < len(sites) <= MOST_GROUPS:
        found.append(Grouping(name="site", label="Site", of=site.map(without_paths), order=tuple(sites)))
    return found


def _asked(run: RunFolder, column: str, test: np.ndarray) -> Grouping:
    tables = [run.subgroups, run.studies, run.characteristics]
    table = next((one for one in tables if column in one.columns), None)
    if table is None:
        known = ", ".join(sorted({str(name) for one in tables for name in one.columns}))
        raise RunError(
            f"There is no column '{column}' to make subgroups of. The run has {known or 'none'}; others can be "
            "given in a file subgroups.csv of the run folder, with study_id and one column a grouping."
        )
    values = table[column].reindex(test)
    if values.isna().all():
        raise RunError(f"The column '{column}' is empty for every test study: no subgroups can be made of it.")
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().equals(values.notna()) and numbers.nunique() > MOST_NUMBERS:
        return _thirds(column, numbers)
    groups = values.map(_text)
    order = sorted(set(groups) - {""}, key=_natural)
    if len(order) > MOST_GROUPS:
        raise RunError(
            f"The column '{column}' has {len(order)} different values among the test studies: at most "
            f"{MOST_GROUPS} can be shown as subgroups. Put them together in a column of subgroups.csv."
        )
    return Grouping(name=column, label=without_paths(column), of=groups, order=tuple(order), asked=True)


def _thirds(column: str, numbers: pd.Series[float]) -> Grouping:
    low, high = np.quantile(numbers.dropna(), [1 / 3, 2 / 3])
    order = (f"up to {low:.4g}", f"{low:.4g} to {high:.4g}", f"above {high:.4g}")
    place = np.searchsorted([low, high], numbers.to_numpy(dtype=np.float64), side="left")
    names = [order[at] if known else "" for at, known in zip(place, numbers.notna(), strict=True)]
    label = f"{without_paths(column)} (thirds)"
    return Grouping(name=column, label=label, of=pd.Series(names, index=numbers.index), order=order, asked=True)


def _text(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return without_paths(str(value).strip())


def _natural(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
