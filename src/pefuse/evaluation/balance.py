"""How alike two groups of patients are: standardised differences, and how large they get by chance.

A p-value would tell of the groups' sizes as much as of their difference (Austin 2009, Stat Med 28:3083).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["category_difference", "difference_by_chance", "rank_difference", "standardised_difference"]


def standardised_difference(first: ArrayLike, second: ArrayLike) -> float:
    """Mean of `first` minus mean of `second`, in units of their common standard deviation (Austin 2009).

    The variance is the mean of the two groups' own, so a large group does not outweigh a small one.

    Args:
        first: `(N,)`, NaN = missing, left out.
        second: `(M,)`, the same.

    Returns:
        NaN where it cannot be told: fewer than two values in a group, or two constants that differ. 0 for two
        constants that are the same.

    Raises:
        ValueError: not one-dimensional, or an infinite value.
    """
    a, b = _known(first), _known(second)
    if min(a.size, b.size) < 2:
        return math.nan
    gap, variance = float(a.mean() - b.mean()), (_variance(a) + _variance(b)) / 2
    if variance > 0:
        return gap / math.sqrt(variance)
    return 0.0 if a[0] == b[0] else math.nan


def rank_difference(first: ArrayLike, second: ArrayLike) -> float:
    """`standardised_difference` of the ranks over both groups, for skewed numbers (Yang & Dalton 2012).

    One value of a thousand does not then hide that the others differ. Ties share their mean rank.
    """
    a, b = _known(first), _known(second)
    ranks = stats.rankdata(np.concatenate([a, b]))
    return standardised_difference(ranks[: a.size], ranks[a.size :])


def category_difference(first: Sequence[str], second: Sequence[str]) -> float:
    """How far apart two groups' shares of some categories are, >= 0 (Yang & Dalton 2012, SAS Global Forum 335).

    The Mahalanobis distance of the shares, with the mean of the two groups' multinomial covariances. With two
    categories it is |p - q| / sqrt((p (1 - p) + q (1 - q)) / 2), Austin's difference of shares.

    Args:
        first: a category a case; "" = missing, left out.
        second: the same.

    Returns:
        NaN where it cannot be told: an empty group, or categories that part the groups for certain.
    """
    a, b = (np.array([name for name in group if name], dtype=str) for group in (first, second))
    if min(a.size, b.size) == 0:
        return math.nan
    names = np.unique(np.concatenate([a, b]))
    if names.size == 1:
        return 0.0
    p, q = ((group[:, None] == names).mean(axis=0) for group in (a, b))
    # Shares sum to 1: the last one tells nothing more.
    gap = (p - q)[:-1]
    covariance = ((np.diag(p) - np.outer(p, p)) + (np.diag(q) - np.outer(q, q)))[:-1, :-1] / 2
    solved = np.linalg.pinv(covariance, hermitian=True) @ gap
    if not np.allclose(covariance @ solved, gap, atol=1e-9):
        return math.nan  # the distance is infinite along a direction in which neither group varies
    return math.sqrt(max(0.0, float(gap @ solved)))


def difference_by_chance(
    first_cases: int, second_cases: int, *, categories: int = 2, level: float = 0.95
) -> float:
    """What a difference stays below in `level` of pairs of samples from one population; NaN for an empty group.

    Its variance is 1/n + 1/m where nothing differs (Hedges & Olkin 1985); over k categories its square is a
    chi-squared with k - 1 degrees of freedom in that unit. True of large groups, a guide with 10 deaths.

    Args:
        categories: 2 for numbers and for shares of two categories.
    """
    if min(first_cases, second_cases) < 1 or categories < 2:
        return math.nan
    return math.sqrt(float(stats.chi2.ppf(level, categories - 1)) * (1 / first_cases + 1 / second_cases))


def _known(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or np.isinf(numbers).any():
        raise ValueError(f"Finite numbers or NaN of the shape (N,) are needed; these have {numbers.shape}.")
    return numbers[~np.isnan(numbers)]


def _variance(values: NDArray[np.float64]) -> float:
    constant = values.min() == values.max()  # their rounded mean may differ from them, and so make a variance
    return 0.0 if constant else float(values.var(ddof=1))
