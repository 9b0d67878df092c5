"""Numbers as people read them: two decimals, a real minus, intervals in brackets."""

from __future__ import annotations

import math

import numpy as np

from pefuse.report.results import Estimate

__all__ = ["UNKNOWN", "format_estimate", "format_number", "format_p", "number", "two_digits", "with_bounds"]

UNKNOWN = "–"


def format_number(value: float | None, *, decimals: int = 2) -> str:
    """A number as text; a dash for what cannot be told."""
    if value is None or not np.isfinite(value):
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def format_estimate(estimate: Estimate | None, *, decimals: int = 2) -> str:
    """`0.91 [0.84–0.95]`; negative bounds are joined by "to"."""
    if estimate is None or estimate.value is None:
        return UNKNOWN
    value = format_number(estimate.value, decimals=decimals)
    if estimate.low is None or estimate.high is None:
        return value
    join = " to " if estimate.low < 0 or estimate.high < 0 else "–"
    bounds = join.join(format_number(bound, decimals=decimals) for bound in (estimate.low, estimate.high))
    return f"{value} [{bounds}]"


def format_p(value: float | None) -> str:
    """A p-value with three decimals."""
    if value is None or not np.isfinite(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def two_digits(count: int) -> int:
    """350 for 342, the next higher one; up to 100 as it is: more digits would claim more than is known."""
    if count <= 100:
        return count
    step = int(10 ** (math.floor(math.log10(count)) - 1))
    return math.ceil(count / step) * step


def number(value: float | None) -> float:
    """NaN for what cannot be told."""
    return np.nan if value is None else float(value)


def with_bounds(name: str, estimate: Estimate | None) -> dict[str, object]:
    """Three columns: the value and its interval's bounds."""
    value, low, high = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {name: number(value), f"{name}_low": number(low), f"{name}_high": number(high)}
