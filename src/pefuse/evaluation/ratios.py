"""A ratio of two means over the same cases, such as heat in a structure over the volume that it fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation.bootstrap import bca_interval
from pefuse.evaluation.intervals import Interval

__all__ = ["Ratio", "ratio_of_means"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """`value` = mean of the numerators / mean of the denominators, NaN where that has no meaning."""

    value: float
    interval: Interval


def ratio_of_means(
    numerators: ArrayLike, denominators: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Ratio:
    """The ratio with its BCa interval: cases are drawn with replacement, both numbers of a case together.

    A single case, or denominators whose mean is 0, has no interval (NaN bounds).

    Raises:
        ValueError: not as many numerators as denominators, or a number that is negative or not finite.
    """
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if above.shape != below.shape or above.ndim != 1:
        raise ValueError(
            f"There are {above.shape} numerators and {below.shape} denominators: give one of each a case."
        )
    if not (np.isfinite(above) & np.isfinite(below) & (above >= 0) & (below >= 0)).all():
        raise ValueError("Numerators and denominators have to be finite and not negative.")
    value = float(_divided(above.sum(), below.sum()))
    if np.isnan(value):
        return Ratio(value, Interval(np.nan, np.nan, level, "none"))
    drawn = np.random.default_rng(seed).multinomial(above.size, np.full(above.size, 1 / above.size), resamples)
    resampled = _divided(drawn @ above, drawn @ below)
    left_out = _divided(above.sum() - above, below.sum() - below)
    return Ratio(value, bca_interval(value, resampled, [left_out], level=level))


def _divided(above: ArrayLike, below: ArrayLike) -> FloatArray:
    """NaN where nothing is below: a structure that few cases have may not be drawn at all."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    divided: FloatArray = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return divided
