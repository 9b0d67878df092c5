"""Comparison: do two scores differ in AUROC, and is the difference more than chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from pefuse.evaluation._inputs import both_classes, checked_scores
from pefuse.evaluation.discrimination import placements
from pefuse.evaluation.intervals import Interval

__all__ = [
    "BootstrapDifference",
    "DelongTest",
    "bootstrap_aucs",
    "bootstrap_difference",
    "delong_test",
    "difference_interval",
    "holm",
]

FloatArray = NDArray[np.float64]

# Resamples are taken in blocks of so many weights at a time: about 32 MB.
BLOCK_WEIGHTS = 4_000_000


@dataclass(frozen=True)
class DelongTest:
    """`difference` = AUC(a) - AUC(b) with its interval, z and two-sided p."""

    difference: float
    interval: Interval
    z: float
    p_value: float


@dataclass(frozen=True)
class BootstrapDifference:
    """`difference` = AUC(a) - AUC(b), its percentile interval and two-sided p of a stratified bootstrap."""

    difference: float
    interval: Interval
    p_value: float
    resamples: int


def delong_test(labels: ArrayLike, a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> DelongTest:
    """Paired test of AUC(a) = AUC(b) on the same cases (DeLong 1988).

    Two scores that rank alike give z = 0 and p = 1. Where they differ but the difference has no variance to judge
    it by (one perfect and one perfectly wrong score; one death), z, p and the interval are NaN: it can't be told.
    """
    of_deaths, of_survivors = placements(labels, np.stack([_one(a), _one(b)]))
    # Differences are formed before variances: equal rankings then give exactly 0, free of rounding.
    by_death, by_survivor = of_deaths[0] - of_deaths[1], of_survivors[0] - of_survivors[1]
    difference = float(by_death.mean())
    if not by_death.any() and not by_survivor.any():
        return DelongTest(0.0, Interval(0.0, 0.0, level, "wald"), 0.0, 1.0)
    error = np.sqrt(_variance_of_mean(by_death) + _variance_of_mean(by_survivor))
    if not error > 0:
        return DelongTest(difference, Interval(np.nan, np.nan, level, "none"), np.nan, np.nan)
    z = difference / error
    reach = stats.norm.ppf((1 + level) / 2) * error
    interval = Interval(float(difference - reach), float(difference + reach), level, "wald")
    return DelongTest(difference, interval, float(z), float(2 * stats.norm.sf(abs(z))))


def difference_interval(a: float, of_a: Interval, b: float, of_b: Interval) -> Interval:
    """Interval of `a - b` of two *independent* estimates from their own intervals (MOVER, Zou & Donner 2008).

    It keeps the skew of the two intervals, so it also holds for AUCs near 1. Not for scores on the same cases:
    those are `delong_test`'s.
    """
    difference = a - b
    low = difference - np.hypot(a - of_a.low, of_b.high - b)
    high = difference + np.hypot(of_a.high - a, b - of_b.low)
    return Interval(float(low), float(high), of_a.level, "mover")


def bootstrap_aucs(
    labels: ArrayLike, scores: ArrayLike, *, resamples: int = 2000, seed: int | np.random.Generator = 0
) -> FloatArray:
    """AUROCs `(M, resamples)` of M scores on stratified bootstrap samples, the same samples for every score.

    Deaths and survivors are drawn with replacement from their own class, so each resample has both.

    Args:
        labels: `(N,)`, 0 or 1.
        scores: `(N,)` or `(M, N)`.
        resamples: how many, at least 1.
        seed: a seed or a generator; the same seed gives the same samples.
    """
    if resamples < 1:
        raise ValueError(f"At least one resample is needed, not {resamples}.")
    died = both_classes(labels)
    values = np.atleast_2d(checked_scores(scores, died.size))
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_WEIGHTS // died.size)
    parts = [
        _resampled_aucs(values[:, died], values[:, ~died], min(block, resamples - start), generator)
        for start in range(0, resamples, block)
    ]
    return np.concatenate(parts, axis=1)


def bootstrap_difference(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> BootstrapDifference:
    """AUC(a) - AUC(b) on the same cases with a stratified percentile bootstrap.

    The p-value is twice the smaller share of resampled differences on one side of 0, those at 0 counting for both
    sides, with one resample added so that it is never 0 (Davison & Hinkley 1997, 4.2).
    """
    both = np.stack([_one(a), _one(b)])
    first, second = bootstrap_aucs(labels, both, resamples=resamples, seed=seed)
    differences = first - second
    observed = placements(labels, both)[0].mean(axis=1)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    smaller = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return BootstrapDifference(
        difference=float(observed[0] - observed[1]),
        interval=Interval(float(low), float(high), level, "percentile"),
        p_value=min(1.0, 2 * (smaller + 1) / (resamples + 1)),
        resamples=resamples,
    )


def holm(p_values: ArrayLike) -> FloatArray:
    """p-values adjusted for their number (Holm 1979); a NaN stays NaN and is not counted."""
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if known.any():
        adjusted[known] = multipletests(values[known], method="holm")[1]
    return adjusted


def _one(scores: ArrayLike) -> FloatArray:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"One score a case is needed; these have the shape {values.shape}.")
    return values


def _variance_of_mean(values: FloatArray) -> float:
    return float(values.var(ddof=1) / values.size) if values.size > 1 else float("nan")


def _resampled_aucs(
    of_deaths: FloatArray, of_survivors: FloatArray, resamples: int, generator: np.random.Generator
) -> FloatArray:
    """AUROCs `(M, resamples)`; a resample is how often each case was drawn, so no score is ever sorted twice."""
    death_weights = _draw_counts(of_deaths.shape[1], resamples, generator)  # (m, R)
    survivor_weights = _draw_counts(of_survivors.shape[1], resamples, generator)  # (n, R)
    pairs = of_deaths.shape[1] * of_survivors.shape[1]
    aucs = np.empty((of_deaths.shape[0], resamples))
    cumulated = np.zeros((of_survivors.shape[1] + 1, resamples), dtype=np.int64)
    for row, (deaths, survivors) in enumerate(zip(of_deaths, of_survivors, strict=True)):
        order = np.argsort(survivors)
        np.cumsum(survivor_weights[order], axis=0, out=cumulated[1:])  # survivors drawn up to each rank
        below = np.searchsorted(survivors, deaths, side="left", sorter=order)
        not_above = np.searchsorted(survivors, deaths, side="right", sorter=order)
        outranked = cumulated[below] + cumulated[not_above]  # (m, R), twice the survivors outranked
        aucs[row] = np.einsum("mr,mr->r", death_weights, outranked) / (2.0 * pairs)
    return aucs


def _draw_counts(cases: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each case is drawn `(cases, resamples)` when `cases` are drawn with replacement."""
    drawn = generator.integers(0, cases, size=(cases, resamples))
    flat = drawn * resamples + np.arange(resamples)
    return np.bincount(flat.ravel(), minlength=cases * resamples).reshape(cases, resamples)
