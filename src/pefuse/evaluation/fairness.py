"""Fairness: does a model do as well for each group of patients as for the others, at the same threshold?

Three measures, since an equal AUC hides much: who is found (sensitivity), who is alarmed for nothing
(specificity), and whether the risks are right (observed to expected deaths). Each with its difference to all other
patients and an interval; silence where a group is too small for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import checked_labels, checked_risk, checked_score
from pefuse.evaluation.calibration import observed_to_expected
from pefuse.evaluation.comparison import difference_interval
from pefuse.evaluation.discrimination import auroc, delong_interval
from pefuse.evaluation.intervals import Interval
from pefuse.evaluation.likelihood import Measured
from pefuse.evaluation.subgroups import FEWEST_OF_A_CLASS
from pefuse.evaluation.thresholds import operating_point

__all__ = ["MEASURES", "Gap", "GroupMeasure", "GroupPerformance", "group_performance", "largest_gap"]

FloatArray = NDArray[np.float64]
Measure = Literal["auc", "sensitivity", "specificity", "observed_to_expected"]

MEASURES: tuple[Measure, ...] = ("auc", "sensitivity", "specificity", "observed_to_expected")


@dataclass(frozen=True)
class GroupMeasure:
    """A measure in one group, and its difference to the patients of all other groups; None = they are too few."""

    value: float
    interval: Interval
    difference: Measured | None


@dataclass(frozen=True)
class GroupPerformance:
    """A model in one group. A measure is None where the group is too small to say.

    The AUC needs `FEWEST_OF_A_CLASS` of both outcomes, sensitivity as many deaths, specificity as many survivors,
    and observed to expected deaths as many of either observed or expected ones.
    """

    group: str
    cases: int
    deaths: int
    auc: GroupMeasure | None
    sensitivity: GroupMeasure | None
    specificity: GroupMeasure | None
    observed_to_expected: GroupMeasure | None

    def measure(self, name: Measure) -> GroupMeasure | None:
        """The measure of that name."""
        found: GroupMeasure | None = getattr(self, name)
        return found


@dataclass(frozen=True)
class Gap:
    """The largest difference of a measure between two groups: `higher` minus `lower`, with its interval.

    It is the largest of several, so it is above 0 by chance alone, the more so the more groups there are.
    """

    measure: Measure
    higher: str
    lower: str
    difference: float
    interval: Interval


def group_performance(
    labels: ArrayLike,
    score: ArrayLike,
    risk: ArrayLike,
    groups: Sequence[str],
    *,
    threshold: float | None,
    order: Sequence[str] | None = None,
) -> list[GroupPerformance]:
    """Judge a model in each group and against the other groups of the same grouping.

    The difference to the others is of independent patients: MOVER on the intervals of both (for proportions that
    is Newcombe's, 1998).

    Args:
        labels: `(N,)`, 0 or 1.
        score: `(N,)`, what patients are ranked and called by; higher is worse.
        risk: `(N,)`, probabilities, for observed to expected deaths.
        groups: each case's group; "" = not known, and not among the others either.
        threshold: positive means `score >= threshold`; None = no threshold, so no sensitivity and specificity.
        order: the groups to report, in this order, also empty ones; None = those there are, sorted.
    """
    died = checked_labels(labels)
    scores, risks, names = (
        checked_score(score, died.size),
        checked_risk(risk, died.size),
        np.asarray(groups, dtype=str),
    )
    if names.shape != died.shape:
        raise ValueError(f"One group a case is needed; these have the shape {names.shape}.")
    wanted = sorted(set(names.tolist()) - {""}) if order is None else list(order)
    cases = _Cases(died, scores, risks, threshold)
    return [_performance(cases, inside=names == name, named=names != "", name=name) for name in wanted]


def largest_gap(performances: Sequence[GroupPerformance], measure: Measure) -> Gap | None:
    """The two groups furthest apart in a measure; None where fewer than two groups have it."""
    told = [(one.group, found) for one in performances if (found := one.measure(measure)) is not None]
    told = [(group, found) for group, found in told if math.isfinite(found.value)]
    if len(told) < 2:
        return None
    (lower, low), (higher, high) = (choose(told, key=lambda pair: pair[1].value) for choose in (min, max))
    interval = difference_interval(high.value, high.interval, low.value, low.interval)
    return Gap(measure, higher, lower, high.value - low.value, interval)


@dataclass(frozen=True)
class _Cases:
    died: NDArray[np.bool_]
    score: FloatArray
    risk: FloatArray
    threshold: float | None

    def only(self, chosen: NDArray[np.bool_]) -> _Cases:
        return _Cases(self.died[chosen], self.score[chosen], self.risk[chosen], self.threshold)


def _performance(
    cases: _Cases, *, inside: NDArray[np.bool_], named: NDArray[np.bool_], name: str
) -> GroupPerformance:
    group, others = cases.only(inside), cases.only(named & ~inside)

    def compared(measure: Callable[[_Cases], Measured | None]) -> GroupMeasure | None:
        ours, theirs = measure(group), measure(others)
        if ours is None:
            return None
        if theirs is None:
            return GroupMeasure(ours.value, ours.interval, None)
        between = difference_interval(ours.value, ours.interval, theirs.value, theirs.interval)
        return GroupMeasure(ours.value, ours.interval, Measured(ours.value - theirs.value, between))

    return GroupPerformance(
        group=name,
        cases=int(group.died.size),
        deaths=int(group.died.sum()),
        auc=compared(_auc),
        sensitivity=compared(lambda of: _rate(of, "sensitivity")),
        specificity=compared(lambda of: _rate(of, "specificity")),
        observed_to_expected=compared(_observed_to_expected),
    )


def _auc(cases: _Cases) -> Measured | None:
    deaths = int(cases.died.sum())
    if min(deaths, cases.died.size - deaths) < FEWEST_OF_A_CLASS:
        return None
    return Measured(auroc(cases.died, cases.score), delong_interval(cases.died, cases.score))


def _rate(cases: _Cases, name: Literal["sensitivity", "specificity"]) -> Measured | None:
    of_class = int(cases.died.sum() if name == "sensitivity" else (~cases.died).sum())
    if cases.threshold is None or of_class < FEWEST_OF_A_CLASS:
        return None
    point = operating_point(cases.died, cases.score, cases.threshold)
    return Measured(getattr(point, name), point.intervals()[name])


def _observed_to_expected(cases: _Cases) -> Measured | None:
    if not cases.died.size or max(cases.died.sum(), cases.risk.sum()) < FEWEST_OF_A_CLASS:
        return None
    found = observed_to_expected(cases.died, cases.risk)
    return Measured(found.ratio, found.interval) if math.isfinite(found.ratio) else None
