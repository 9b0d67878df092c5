"""Confidence intervals: the noun, and those of a proportion."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats
from statsmodels.stats.proportion import proportion_confint

__all__ = ["Interval", "clopper_pearson_interval", "wilson_interval"]


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval; `method` names how it was really computed."""

    low: float
    high: float
    level: float = 0.95
    method: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson_interval(count: int, total: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of `count` / `total` (Wilson 1927); NaN bounds when `total` is 0.

    Raises:
        ValueError: `count` is not between 0 and `total`.
    """
    if not 0 <= count <= total:
        raise ValueError(f"A count of {count} among {total} is not a proportion.")
    if total == 0:
        return Interval(math.nan, math.nan, level, "wilson")
    low, high = proportion_confint(count, total, alpha=1 - level, method="wilson")
    # At 0 and at `total` rounding can push the bound past the estimate by 1e-17.
    low, high = (0.0 if count == 0 else float(low)), (1.0 if count == total else float(high))
    return Interval(low, high, level, "wilson")


def clopper_pearson_interval(count: float, total: float, *, level: float = 0.95) -> Interval:
    """The exact binomial interval (Clopper & Pearson 1934); halves are allowed, as ties count one half."""
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, count, total - count + 1) if count > 0 else 0.0
    high = stats.beta.ppf(1 - tail, count + 1, total - count) if count < total else 1.0
    return Interval(float(low), float(high), level, "exact")
