"""AUROC within subgroups of the patients, and an honest silence where they are too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from pefuse.evaluation._inputs import checked_labels, checked_score
from pefuse.evaluation.discrimination import auroc, delong_interval
from pefuse.evaluation.intervals import Interval

__all__ = ["FEWEST_OF_A_CLASS", "SubgroupAuc", "age_groups", "subgroup_aucs"]

# With fewer deaths (or survivors) the variance that an interval rests on is itself a guess from four numbers.
FEWEST_OF_A_CLASS = 5

PAPER_AGE_EDGES = (0.0, 50.0, 70.0, 95.0)


@dataclass(frozen=True)
class SubgroupAuc:
    """One subgroup. `auc` and `interval` are None where it has fewer than `FEWEST_OF_A_CLASS` of a class."""

    group: str
    cases: int
    deaths: int
    auc: float | None
    interval: Interval | None

    @property
    def enough(self) -> bool:
        """Whether there are enough patients of both outcomes to say anything."""
        return self.auc is not None


def subgroup_aucs(
    labels: ArrayLike, scores: ArrayLike, groups: Sequence[str], *, order: Sequence[str] | None = None
) -> list[SubgroupAuc]:
    """The AUROC of one score in each subgroup.

    Args:
        labels: `(N,)`, 0 or 1.
        scores: `(N,)`, higher is worse.
        groups: each case's subgroup; "" = in none.
        order: the subgroups to report, in this order, also empty ones; None = those there are, sorted.
    """
    died = checked_labels(labels)
    values, names = checked_score(scores, died.size), np.asarray(groups, dtype=str)
    wanted = sorted(set(names.tolist()) - {""}) if order is None else list(order)
    return [_subgroup(name, died[names == name], values[names == name]) for name in wanted]


def age_groups(age_years: ArrayLike, *, edges: Sequence[float] = PAPER_AGE_EDGES) -> list[str]:
    """Each case's age group, such as "50–70": from the lower edge up to, not with, the upper one.

    The last group takes its upper edge and everyone older. An unknown age is in no group ("").
    """
    ages = np.asarray(age_years, dtype=np.float64)
    names = [f"{low:g}–{high:g}" for low, high in pairwise(edges)]
    places = np.clip(np.searchsorted(edges, np.nan_to_num(ages), side="right") - 1, 0, len(names) - 1)
    known = np.isfinite(ages) & (ages >= edges[0])
    return [
        names[place] if is_known else "" for place, is_known in zip(places.tolist(), known.tolist(), strict=True)
    ]


def _subgroup(name: str, died: np.ndarray, scores: np.ndarray) -> SubgroupAuc:
    cases, deaths = int(died.size), int(died.sum())
    if min(deaths, cases - deaths) < FEWEST_OF_A_CLASS:
        return SubgroupAuc(name, cases, deaths, None, None)
    return SubgroupAuc(name, cases, deaths, auroc(died, scores), delong_interval(died, scores))
