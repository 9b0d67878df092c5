"""Comparison: do two scores differ in AUROC, and is the difference more than chance?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from pefuse.evaluation._inputs import both_classes, checked_labels, checked_score, cluster_numbers
from pefuse.evaluation.discrimination import placements
from pefuse.evaluation.intervals import Interval

__all__ = [
    "DelongTest",
    "McnemarTest",
    "PermutationTest",
    "delong_test",
    "difference_interval",
    "holm",
    "mcnemar_tests",
    "permutation_test",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Permutations are taken in blocks of so many exchanges at a time: 4 MB.
BLOCK_EXCHANGES = 500_000


@dataclass(frozen=True)
class DelongTest:
    """`difference` = AUC(a) - AUC(b) with its interval, z and two-sided p."""

    difference: float
    interval: Interval
    z: float
    p_value: float


@dataclass(frozen=True)
class PermutationTest:
    """`difference` = AUC(a) - AUC(b), two-sided p, and of how many permutations; `exact` = all there are."""

    difference: float
    p_value: float
    permutations: int
    exact: bool


@dataclass(frozen=True)
class McnemarTest:
    """How many cases only a, or only b, called right, and the two-sided exact p."""

    only_a: int
    only_b: int
    p_value: float


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


def permutation_test(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    permutations: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> PermutationTest:
    """Paired test of AUC(a) = AUC(b): exchange the two scores of a case at random (Bandos, Rockette & Gur 2005).

    Each score is first replaced by its ranks among all cases, since two models need not speak on one scale. The
    hypothesis is that the ranks of a case could as well be exchanged: stricter than equal AUCs, and the test sees
    mainly a difference of AUCs. With `clusters` all studies of a patient are exchanged together.

    The difference of AUCs is linear in who was exchanged: with a sign of +1 or -1 for each case it is a sum of
    signs times weights, and no AUC of a permutation need be computed. Where there are no more than `permutations`
    exchanges all are counted, and p is exact; else p counts the observed one in, so that it is never 0.
    """
    if permutations < 1:
        raise ValueError(f"At least one permutation is needed, not {permutations}.")
    died = both_classes(labels)
    first, second = checked_score(a, died.size), checked_score(b, died.size)
    weights = _exchange_weights(died, stats.rankdata(first), stats.rankdata(second))
    scale = 4.0 * died.sum() * (~died).sum()
    observed = int(weights.sum())
    patients = np.arange(died.size) if clusters is None else cluster_numbers(clusters, died.size)
    together = np.bincount(patients, weights=weights)  # whole numbers: sums are exact
    moving = together[together != 0]
    if moving.size <= math.log2(permutations):
        extreme = _as_extreme(_all_exchanges(moving.size), moving)
        return PermutationTest(observed / scale, extreme / 2**moving.size, 2**moving.size, exact=True)
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_EXCHANGES // moving.size)
    extreme = sum(
        _as_extreme(_random_exchanges(min(block, permutations - start), moving.size, generator), moving)
        for start in range(0, permutations, block)
    )
    return PermutationTest(observed / scale, (extreme + 1) / (permutations + 1), permutations, exact=False)


def mcnemar_tests(labels: ArrayLike, called_a: ArrayLike, called_b: ArrayLike) -> dict[str, McnemarTest]:
    """Do two models at their thresholds differ in sensitivity, specificity and accuracy (McNemar 1947)?

    Among deaths, survivors and all cases: how many only a, or only b, called right, by the exact binomial test.
    Every study counts as one patient.

    Args:
        labels: `(N,)`, 0 or 1.
        called_a: `(N,)`, True where the model says death; so too `called_b`.
    """
    died, says_a, says_b = (checked_labels(values) for values in (labels, called_a, called_b))
    if not died.size == says_a.size == says_b.size:
        raise ValueError(f"There are {died.size} labels, but {says_a.size} and {says_b.size} calls.")
    right_a, right_b = says_a == died, says_b == died
    among = {"sensitivity": died, "specificity": ~died, "accuracy": np.ones_like(died)}
    return {name: _mcnemar(right_a[cases], right_b[cases]) for name, cases in among.items()}


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


def _exchange_weights(died: BoolArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Whole numbers `(N,)` whose sum, each times its case's sign, is 4 m n (AUC(a) - AUC(b)) after exchanges."""
    weights = np.empty(died.size)
    (deaths_a, survivors_a), (deaths_b, survivors_b) = ((rank[died], rank[~died]) for rank in (a, b))
    above, below = _twice_above, _twice_below
    weights[died] = above(deaths_a, survivors_a) + above(deaths_a, survivors_b)
    weights[died] -= above(deaths_b, survivors_a) + above(deaths_b, survivors_b)
    weights[~died] = below(survivors_a, deaths_a) + below(survivors_a, deaths_b)
    weights[~died] -= below(survivors_b, deaths_a) + below(survivors_b, deaths_b)
    return weights


def _twice_above(values: FloatArray, others: FloatArray) -> IntArray:
    """For each of `values` twice the number of `others` that it lies above, an equal one counting once."""
    ordered = np.sort(others)
    return np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")


def _twice_below(values: FloatArray, others: FloatArray) -> IntArray:
    return 2 * others.size - _twice_above(values, others)


def _as_extreme(exchanged: NDArray[np.uint8], weights: FloatArray) -> int:
    """How many rows of exchanges (1 = exchanged) give a sum at least as far from 0 as none exchanged."""
    observed = weights.sum()
    return int((np.abs(observed - 2 * (exchanged.astype(np.float64) @ weights)) >= abs(observed)).sum())


def _all_exchanges(count: int) -> NDArray[np.uint8]:
    return (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.uint8)


def _random_exchanges(rows: int, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    drawn = generator.integers(0, 256, size=(rows, -(-count // 8)), dtype=np.uint8)
    return np.unpackbits(drawn, axis=1, count=count)


def _mcnemar(right_a: BoolArray, right_b: BoolArray) -> McnemarTest:
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    test = mcnemar([[0, only_a], [only_b, 0]], exact=True)
    return McnemarTest(only_a=only_a, only_b=only_b, p_value=float(test.pvalue))
