"""The smoothed calibration curve: the share that dies along the predicted risk, its band, its distance from it.

Two smoothers, each for what it is good at. The curve that is drawn is a logistic regression on a restricted cubic
spline of the logit: it stays between 0 and 1, and so does its band, also where nobody died. The distances (ICI,
E50, E90) are those from a loess, as in the paper that defines them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit
from statsmodels.nonparametric.smoothers_lowess import lowess

from pefuse.evaluation._inputs import both_classes, checked_risk
from pefuse.evaluation._logistic import fit_logistic
from pefuse.evaluation.calibration import logit_of
from pefuse.evaluation.intervals import wilson_interval

__all__ = [
    "CalibrationCurve",
    "CalibrationDistances",
    "calibration_curve",
    "calibration_distances",
    "restricted_cubic_spline",
]

FloatArray = NDArray[np.float64]

# A curve through fewer distinct risks is drawn through nothing; the share observed at each is the honest curve.
DISTINCT_RISKS_TO_SMOOTH = 10
# Harrell (2015), Regression Modeling Strategies, 2.4.6: where the knots of a spline stand.
KNOTS = {3: (0.1, 0.5, 0.9), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
ENOUGH_FOR_FIVE_KNOTS = 100  # of the rarer outcome
LOESS_POINTS = 400  # where the loess is worked out if there are more cases: in between it is a straight line


@dataclass(frozen=True)
class CalibrationCurve:
    """Predicted risks `(G,)` from the lowest to the highest, the share that died there, and its pointwise band.

    `method`: "spline"; "line" where the risks bear no spline; "shares" where there are too few distinct risks or
    the risks separate the classes: then the observed share of each distinct risk with Wilson's interval.
    """

    risk: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray
    method: Literal["spline", "line", "shares"]


@dataclass(frozen=True)
class CalibrationDistances:
    """|smoothed share - risk| over the cases: mean (ICI), median (E50), 90 % quantile (E90), largest (Emax)."""

    ici: float
    e50: float
    e90: float
    emax: float


def calibration_distances(labels: ArrayLike, risk: ArrayLike, *, span: float = 0.75) -> CalibrationDistances:
    """ICI, E50, E90 and Emax (Austin & Steyerberg 2019): distances of risks from a loess of the outcome on them.

    The loess is local-linear with tricube weights and no robustness steps; `span` is the share of cases in each of
    its windows (0.75 as R's default, whose local parabola bends more). With fewer than ten distinct risks the
    share observed at each stands for it. All are above 0 by chance alone in small data.

    Raises:
        ValueError: only one class, a risk outside [0, 1], or a span outside (0, 1].
    """
    if not 0 < span <= 1:
        raise ValueError(f"The span of a loess lies above 0 and up to 1, not at {span:g}.")
    died = both_classes(labels)
    values = checked_risk(risk, died.size)
    distance = np.abs(_loess(died.astype(np.float64), values, span) - values)
    e50, e90 = np.quantile(distance, [0.5, 0.9])
    return CalibrationDistances(float(distance.mean()), float(e50), float(e90), float(distance.max()))


def calibration_curve(
    labels: ArrayLike, risk: ArrayLike, *, points: int = 100, level: float = 0.95
) -> CalibrationCurve:
    """The share that died along the risk, with a pointwise confidence band.

    Logistic regression of the outcome on a restricted cubic spline of the risk's logit (Harrell 2015; the "rcs"
    curve of Van Calster et al. 2016): three knots, five from 100 cases of the rarer outcome on. The band is Wald's
    on the logit scale (delta method), carried back.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    values = checked_risk(risk, died.size)
    outcome, grid = died.astype(np.float64), np.linspace(values.min(), values.max(), points)
    logit = logit_of(values)
    if np.unique(logit).size >= DISTINCT_RISKS_TO_SMOOTH:
        knots = _knots(logit, min(int(died.sum()), int((~died).sum())))
        if knots is not None:
            design, at = (restricted_cubic_spline(x, knots) for x in (logit, logit_of(grid)))
            if (curve := _fitted(outcome, design, grid, at, level, "spline")) is not None:
                return curve
        if (curve := _fitted(outcome, logit[:, None], grid, logit_of(grid)[:, None], level, "line")) is not None:
            return curve
    return _shares(died, values, level)


def restricted_cubic_spline(values: FloatArray, knots: FloatArray) -> FloatArray:
    """Columns `(N, K - 1)` of a cubic spline of `values` (N,) that is straight outside its K `knots`.

    The first is the values themselves; Harrell's form, on the scale of the values.
    """
    first, before, last = knots[0], knots[-2], knots[-1]

    def cubed(x: FloatArray) -> FloatArray:
        beyond: FloatArray = np.clip(x, 0.0, None) ** 3
        return beyond

    columns = [values]
    for knot in knots[:-2]:
        column = (
            cubed(values - knot)
            - cubed(values - before) * (last - knot) / (last - before)
            + cubed(values - last) * (before - knot) / (last - before)
        )
        columns.append(column / (last - first) ** 2)
    return np.column_stack(columns)


def _knots(logit: FloatArray, rarer: int) -> FloatArray | None:
    """Where the knots stand; None where ties leave them no room."""
    places = KNOTS[5] if rarer >= ENOUGH_FOR_FIVE_KNOTS else KNOTS[3]
    knots: FloatArray = np.quantile(logit, places)
    return knots if np.diff(knots).min() > 1e-3 * (knots[-1] - knots[0]) > 0 else None


def _fitted(
    outcome: FloatArray,
    design: FloatArray,
    grid: FloatArray,
    at: FloatArray,
    level: float,
    method: Literal["spline", "line"],
) -> CalibrationCurve | None:
    """The logistic curve and its band on the grid; None where the classes are separated: no finite answer."""
    fit = fit_logistic(outcome, np.column_stack([np.ones(len(outcome)), design]))
    if fit is None:
        return None
    columns = np.column_stack([np.ones(len(grid)), at])
    centre, error = columns @ fit.coefficients, np.sqrt(np.einsum("gi,ij,gj->g", columns, fit.covariance, columns))
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    return CalibrationCurve(grid, expit(centre), expit(centre - reach), expit(centre + reach), method)


def _shares(died: NDArray[np.bool_], values: FloatArray, level: float) -> CalibrationCurve:
    if (distinct := np.unique(values)).size >= DISTINCT_RISKS_TO_SMOOTH:
        # The risks separate the classes: their fifths, as the dots of a calibration plot.
        distinct = np.unique(np.quantile(values, (0.2, 0.4, 0.6, 0.8, 1.0)))
    group = np.searchsorted(distinct, values, side="left")
    cases, deaths = np.bincount(group), np.bincount(group, weights=died)
    bands = [wilson_interval(int(d), int(n), level=level) for d, n in zip(deaths, cases, strict=True)]
    low, high = np.array([one.low for one in bands]), np.array([one.high for one in bands])
    return CalibrationCurve(np.bincount(group, weights=values) / cases, deaths / cases, low, high, "shares")


def _loess(outcome: FloatArray, values: FloatArray, span: float) -> FloatArray:
    """The smoothed share at each case's risk."""
    distinct, group = np.unique(values, return_inverse=True)
    observed = np.bincount(group, weights=outcome) / np.bincount(group)
    if distinct.size < DISTINCT_RISKS_TO_SMOOTH:
        share: FloatArray = observed[group]
        return share
    at = distinct
    if distinct.size > LOESS_POINTS:
        at = np.unique(np.quantile(distinct, np.linspace(0, 1, LOESS_POINTS)))
    with np.errstate(divide="ignore", invalid="ignore"):  # a window full of ties has no slope
        smooth = lowess(outcome, values, frac=span, it=0, xvals=at)
    smooth = np.where(np.isfinite(smooth), smooth, np.interp(at, distinct, observed))
    whole: FloatArray = np.clip(np.interp(values, at, smooth), 0.0, 1.0)
    return whole
