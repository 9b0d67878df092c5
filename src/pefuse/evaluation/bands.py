"""Bands around ROC and precision-recall curves: where the curve of other patients would run, point by point.

At each point the band holds with its level. That the whole curve lies inside is less likely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import both_classes, checked_score
from pefuse.evaluation.bootstrap import resampled_weights

__all__ = ["CurveBand", "precision_recall_band", "roc_band"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class CurveBand:
    """Percentile bounds `low` and `high` of a curve at `x`, all `(P,)`."""

    x: FloatArray
    low: FloatArray
    high: FloatArray


def roc_band(
    labels: ArrayLike,
    score: ArrayLike,
    *,
    points: ArrayLike = POINTS,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Bounds of sensitivity at the false-positive rates `points` `(P,)`; else as `bootstrap_scores`.

    Between its corners a resampled curve is straight, as in `roc_curve`; where it is upright, its top counts.
    """
    x = np.asarray(points, dtype=np.float64)
    parts = [
        _sensitivity_at(x, true, false)
        for true, false in _resampled_counts(labels, score, clusters=clusters, resamples=resamples, seed=seed)
    ]
    return _band(x, parts, level)


def precision_recall_band(
    labels: ArrayLike,
    score: ArrayLike,
    *,
    points: ArrayLike = POINTS[1:],
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> CurveBand:
    """Bounds of the precision where each share of deaths in `points` `(P,)`, all > 0, is first found."""
    x = np.asarray(points, dtype=np.float64)
    parts = [
        _precision_at(x, true, false)
        for true, false in _resampled_counts(labels, score, clusters=clusters, resamples=resamples, seed=seed)
    ]
    return _band(x, parts, level)


def _resampled_counts(
    labels: ArrayLike,
    score: ArrayLike,
    *,
    clusters: ArrayLike | None,
    resamples: int,
    seed: int | np.random.Generator,
) -> Iterator[tuple[IntArray, IntArray]]:
    """Deaths and survivors called positive `(T + 1, R)` at T falling thresholds, from none to all."""
    died = both_classes(labels)
    values = checked_score(score, died.size)
    order = np.argsort(-values, kind="stable")
    last_of_ties = np.flatnonzero(np.append(np.diff(values[order]) != 0, True)) + 1
    corners = np.concatenate([[0], last_of_ties])
    for weights in resampled_weights(died, clusters=clusters, resamples=resamples, seed=seed):
        drawn = np.concatenate([np.zeros((1, weights.shape[1]), dtype=np.int64), weights[order]])
        is_death = np.concatenate([[False], died[order]])[:, None]
        true, false = np.cumsum(drawn * is_death, axis=0)[corners], np.cumsum(drawn * ~is_death, axis=0)[corners]
        able = (true[-1] > 0) & (false[-1] > 0)  # with several studies a patient a class can be missed
        yield true[:, able], false[:, able]


def _sensitivity_at(x: FloatArray, true: IntArray, false: IntArray) -> FloatArray:
    """`(P, R)`: the ROC curves read off at each false-positive rate."""
    wanted = x[:, None] * false[-1]  # (P, R), in survivors drawn
    # Rounding may put 0.29 x 100 below 29, which is a corner.
    before = _last_not_above(false, wanted + 1e-9)
    after = np.minimum(before + 1, len(false) - 1)
    columns = np.arange(true.shape[1])
    width = np.maximum(false[after, columns] - false[before, columns], 1)
    along = np.clip((wanted - false[before, columns]) / width, 0.0, 1.0)
    risen = true[before, columns] + along * (true[after, columns] - true[before, columns])
    sensitivity: FloatArray = risen / true[-1]
    return sensitivity


def _precision_at(x: FloatArray, true: IntArray, false: IntArray) -> FloatArray:
    """`(P, R)`: the precision where each share of deaths is first reached."""
    reached = _last_not_above(true, x[:, None] * true[-1] - 1e-9) + 1
    columns = np.arange(true.shape[1])
    found = true[reached, columns]
    precision: FloatArray = found / (found + false[reached, columns])
    return precision


def _last_not_above(rising: IntArray, wanted: FloatArray) -> IntArray:
    """For each column of `rising` `(T, R)` the last row that is not above each wanted value `(P, R)`."""
    # One search for all columns: each is lifted above the one before.
    lift = np.arange(rising.shape[1]) * (float(rising[-1].max()) + 2.0)
    flat = (rising + lift).T.ravel()
    found = np.searchsorted(flat, (wanted + lift).ravel(), side="right").reshape(wanted.shape)
    return found - np.arange(rising.shape[1]) * len(rising) - 1


def _band(x: FloatArray, parts: list[FloatArray], level: float) -> CurveBand:
    low, high = np.quantile(np.concatenate(parts, axis=1), [(1 - level) / 2, (1 + level) / 2], axis=1)
    return CurveBand(x, low, high)
