"""Statistics of weighted cases: a resample says how often each case was drawn, and that is its weight.

Each score is sorted once, never once a resample: what lies below a death in the sample is a cumulated weight in
any resample. The values without one case, which a jackknife needs, follow from the whole sample's in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClassMeans", "WeightedAuroc", "WeightedPrecision", "WeightedStatistic"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
Number = TypeVar("Number", np.int32, np.float64)


class WeightedStatistic(Protocol):
    """M statistics of the same N cases."""

    died: BoolArray

    def weighted(self, weights: IntArray) -> FloatArray:
        """The statistics `(M, R)` under weights `(N, R)`; NaN where a class has no weight."""

    def without_each(self) -> FloatArray:
        """The statistics `(M, N)` without one case each; NaN where that leaves a class empty."""


class WeightedAuroc:
    """AUROCs of scores `(M, N)`, a tie counting one half."""

    def __init__(self, died: BoolArray, scores: FloatArray) -> None:
        self.died = died
        self._ranks = [_Ranks.of(died, row) for row in scores]

    def weighted(self, weights: IntArray) -> FloatArray:
        deaths, survivors = weights[self.died], weights[~self.died]  # (m, R), (n, R)
        pairs = 2.0 * deaths.sum(axis=0) * survivors.sum(axis=0)
        doubled = np.empty((len(self._ranks), weights.shape[1]))
        for row, ranks in enumerate(self._ranks):
            drawn = _cumulated(survivors[ranks.survivors_order])
            outranked = drawn[ranks.survivors_below] + drawn[ranks.survivors_not_above]  # (m, R)
            doubled[row] = (deaths * outranked).sum(axis=0, dtype=np.int64)
        return _ratio(doubled, pairs)

    def without_each(self) -> FloatArray:
        deaths, survivors = int(self.died.sum()), int((~self.died).sum())
        left = np.empty((len(self._ranks), self.died.size))
        for row, ranks in enumerate(self._ranks):
            by_death = (ranks.survivors_below + ranks.survivors_not_above) / (2.0 * survivors)
            by_survivor = (ranks.deaths_above + ranks.deaths_not_below) / (2.0 * deaths)
            auc = by_death.mean()
            left[row, self.died] = _ratio(deaths * auc - by_death, deaths - 1)
            left[row, ~self.died] = _ratio(survivors * auc - by_survivor, survivors - 1)
        return left


class WeightedPrecision:
    """Average precisions of scores `(M, N)`: the mean over deaths of the precision at that death's score."""

    def __init__(self, died: BoolArray, scores: FloatArray) -> None:
        self.died = died
        self._ranks = [_Ranks.of(died, row) for row in scores]

    def weighted(self, weights: IntArray) -> FloatArray:
        deaths, survivors = weights[self.died], weights[~self.died]  # (m, R), (n, R)
        died, lived = deaths.sum(axis=0), survivors.sum(axis=0)
        precision = np.empty((len(self._ranks), weights.shape[1]))
        for row, ranks in enumerate(self._ranks):
            true = died - _cumulated(deaths[ranks.deaths_order])[ranks.deaths_below]  # (m, R), at or above it
            false = lived - _cumulated(survivors[ranks.survivors_order])[ranks.survivors_below]
            precision[row] = _ratio((deaths * (true / np.maximum(true + false, 1))).sum(axis=0), died)
        precision[:, lived == 0] = np.nan
        return precision

    def without_each(self) -> FloatArray:
        deaths, survivors = int(self.died.sum()), int((~self.died).sum())
        left = np.empty((len(self._ranks), self.died.size))
        for row, ranks in enumerate(self._ranks):
            true = deaths - ranks.deaths_below  # (m,), deaths at or above each death's score
            all_above = true + survivors - ranks.survivors_below
            # Each death's precision as it is, with one death less at or above it, with one survivor less.
            whole = true / all_above
            death_less = (true - 1) / np.maximum(all_above - 1, 1)
            survivor_less = true / np.maximum(all_above - 1, 1)
            upwards = ranks.deaths_order  # deaths from the lowest score to the highest
            above = whole.sum() - _cumulated(whole[upwards, None])[:, 0]
            reached = ranks.deaths_below + ranks.deaths_equal  # deaths at or below each death
            kept = above[reached] + _cumulated(death_less[upwards, None])[reached, 0] - death_less
            left[row, self.died] = _ratio(kept, deaths - 1)
            below = deaths - ranks.deaths_above  # deaths at or below each survivor
            left[row, ~self.died] = (above[below] + _cumulated(survivor_less[upwards, None])[below, 0]) / deaths
        if survivors == 1:
            left[:, ~self.died] = np.nan
        return left


class ClassMeans:
    """Means of values over the deaths plus means of values over the survivors: `(M, m)` and `(M, n)`."""

    def __init__(self, died: BoolArray, of_deaths: FloatArray, of_survivors: FloatArray) -> None:
        self.died = died
        self._of_deaths, self._of_survivors = of_deaths, of_survivors

    def weighted(self, weights: IntArray) -> FloatArray:
        deaths, survivors = (weights[part].astype(np.float64) for part in (self.died, ~self.died))
        by_death = _ratio(self._of_deaths @ deaths, deaths.sum(axis=0))
        return by_death + _ratio(self._of_survivors @ survivors, survivors.sum(axis=0))

    def without_each(self) -> FloatArray:
        left = np.empty((self._of_deaths.shape[0], self.died.size))
        means = [values.mean(axis=1, keepdims=True) for values in (self._of_deaths, self._of_survivors)]
        for part, values, mean, other in (
            (self.died, self._of_deaths, means[0], means[1]),
            (~self.died, self._of_survivors, means[1], means[0]),
        ):
            count = values.shape[1]
            left[:, part] = _ratio(count * mean - values, count - 1) + other
        return left


@dataclass(frozen=True)
class _Ranks:
    """How one score orders m deaths and n survivors."""

    survivors_order: NDArray[np.intp]  # (n,) from the lowest score to the highest
    survivors_below: NDArray[np.intp]  # (m,) survivors below each death
    survivors_not_above: NDArray[np.intp]  # (m,) survivors below or equal
    deaths_order: NDArray[np.intp]  # (m,) from the lowest score to the highest
    deaths_below: NDArray[np.intp]  # (m,) deaths below each death
    deaths_equal: NDArray[np.intp]  # (m,) deaths with the same score, itself among them
    deaths_above: NDArray[np.intp]  # (n,) deaths above each survivor
    deaths_not_below: NDArray[np.intp]  # (n,) deaths above or equal

    @classmethod
    def of(cls, died: BoolArray, score: FloatArray) -> _Ranks:
        deaths, survivors = score[died], score[~died]
        survivors_order, deaths_order = np.argsort(survivors), np.argsort(deaths)
        sorted_survivors, sorted_deaths = survivors[survivors_order], deaths[deaths_order]
        below, not_above = (np.searchsorted(sorted_deaths, deaths, side) for side in ("left", "right"))
        return cls(
            survivors_order=survivors_order,
            survivors_below=np.searchsorted(sorted_survivors, deaths, "left"),
            survivors_not_above=np.searchsorted(sorted_survivors, deaths, "right"),
            deaths_order=deaths_order,
            deaths_below=below,
            deaths_equal=not_above - below,
            deaths_above=deaths.size - np.searchsorted(sorted_deaths, survivors, "right"),
            deaths_not_below=deaths.size - np.searchsorted(sorted_deaths, survivors, "left"),
        )


def _cumulated(values: NDArray[Number]) -> NDArray[Number]:
    """Sums of the first 0, 1, ... rows of `(n, R)`: `(n + 1, R)`, of the same type."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1]), dtype=values.dtype)
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def _ratio(numerator: FloatArray, denominator: FloatArray | IntArray | int) -> FloatArray:
    """`numerator / denominator`, NaN where that is 0."""
    below = np.asarray(denominator, dtype=np.float64)
    return numerator / np.where(below == 0, np.nan, below)
