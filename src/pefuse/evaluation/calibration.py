"""Calibration: do patients with a predicted risk of 20 % die in 20 % of cases?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pefuse.evaluation._inputs import both_classes, checked_labels, checked_risk
from pefuse.evaluation._logistic import LogisticFit, fit_logistic
from pefuse.evaluation.intervals import Interval, wilson_interval

__all__ = [
    "CalibrationBins",
    "CalibrationLine",
    "ObservedToExpected",
    "brier_score",
    "calibration_bins",
    "calibration_line",
    "expected_calibration_error",
    "logit_of",
    "observed_to_expected",
    "scaled_brier_score",
]

FloatArray = NDArray[np.float64]

# A risk of exactly 0 or 1 has no logit; this is 14 on the logit scale, past anything a model of ours says.
SMALLEST_RISK = 1e-6


@dataclass(frozen=True)
class CalibrationBins:
    """Cases grouped by risk: mean risk, share and number of deaths, and number of cases in each group `(B,)`."""

    mean_risk: FloatArray
    death_share: FloatArray
    deaths: NDArray[np.int64]
    cases: NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationLine:
    """The recalibration of Cox (1958): 1 and 0 are perfect. Wald intervals of the logistic fits.

    `slope` < 1 means risks too extreme. `intercept` is calibration in the large: > 0 means that more died
    than was predicted. The slope is NaN where the risks separate the classes: it would be infinite.
    """

    slope: float
    intercept: float
    slope_interval: Interval
    intercept_interval: Interval


@dataclass(frozen=True)
class ObservedToExpected:
    """Deaths seen for each death predicted: 1 is right, 2 = twice as many died as the risks added up to."""

    deaths: int
    expected: float
    ratio: float
    interval: Interval


def brier_score(labels: ArrayLike, risk: ArrayLike) -> float:
    """Mean squared distance of risk and outcome (Brier 1950); 0 is perfect."""
    died = checked_labels(labels)
    return float(np.mean((checked_risk(risk, died.size) - died) ** 2))


def scaled_brier_score(labels: ArrayLike, risk: ArrayLike) -> float:
    """1 - Brier / that of giving everyone the mortality of these cases (Steyerberg 2010): 1 is perfect, 0 useless.

    Below 0 the risks do worse than that one number. NaN with one class only: nothing is left to explain.
    """
    died = checked_labels(labels)
    useless = float(died.mean() * (1 - died.mean()))
    return 1 - brier_score(died, risk) / useless if useless > 0 else math.nan


def calibration_bins(labels: ArrayLike, risk: ArrayLike, *, bins: int | None = None) -> CalibrationBins:
    """Group cases by quantiles of their risk.

    Args:
        labels: `(N,)`, 0 or 1.
        risk: `(N,)`, probabilities.
        bins: how many groups; by default 10, but at most 5 below 200 cases. Cases of equal risk stay together,
            so there may be fewer.
    """
    died = checked_labels(labels)
    values = checked_risk(risk, died.size)
    wanted = bins if bins is not None else (5 if died.size < 200 else 10)
    if wanted < 1:
        raise ValueError(f"At least one bin is needed, not {wanted}.")
    edges = np.unique(np.quantile(values, np.linspace(0, 1, wanted + 1)[1:-1]))
    _, group = np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)
    cases = np.bincount(group)
    deaths = np.bincount(group, weights=died).astype(np.int64)
    return CalibrationBins(np.bincount(group, weights=values) / cases, deaths / cases, deaths, cases)


def expected_calibration_error(labels: ArrayLike, risk: ArrayLike, *, bins: int | None = None) -> float:
    """Mean distance of predicted and observed risk over quantile groups, weighted by their cases (ECE).

    It depends on the number of groups (see `calibration_bins`) and is above 0 by chance alone in small data.
    """
    groups = calibration_bins(labels, risk, bins=bins)
    return float(np.average(np.abs(groups.mean_risk - groups.death_share), weights=groups.cases))


def observed_to_expected(labels: ArrayLike, risk: ArrayLike, *, level: float = 0.95) -> ObservedToExpected:
    """Deaths seen over deaths predicted (calibration in the large as a ratio).

    The interval is Wilson's of the observed share over the mean risk, so it also holds without a death; the risks
    are taken as given. NaN where no death was predicted at all.
    """
    died = checked_labels(labels)
    deaths, expected = int(died.sum()), float(checked_risk(risk, died.size).sum())
    if not expected > 0:
        return ObservedToExpected(deaths, expected, math.nan, Interval(math.nan, math.nan, level, "none"))
    share = wilson_interval(deaths, died.size, level=level)
    scale = died.size / expected
    interval = Interval(share.low * scale, share.high * scale, level, "wilson over mean risk")
    return ObservedToExpected(deaths, expected, deaths / expected, interval)


def calibration_line(labels: ArrayLike, risk: ArrayLike, *, level: float = 0.95) -> CalibrationLine:
    """Calibration slope, and intercept with the slope held at 1 (Cox 1958; Van Calster 2019), by logistic fits.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    logit = logit_of(checked_risk(risk, died.size))
    outcome, constant = died.astype(np.float64), np.ones((died.size, 1))
    intercept, intercept_interval = _wald(fit_logistic(outcome, constant, logit), 0, level)
    overlap = _overlap(logit[died], logit[~died])
    both = fit_logistic(outcome, np.column_stack([constant, logit])) if overlap else None
    slope, slope_interval = _wald(both, 1, level)
    return CalibrationLine(slope, intercept, slope_interval, intercept_interval)


def logit_of(risk: FloatArray) -> FloatArray:
    """Log-odds of a risk; 0 and 1 are taken for `SMALLEST_RISK` and one less it."""
    inside = np.clip(risk, SMALLEST_RISK, 1 - SMALLEST_RISK)
    logit: FloatArray = np.log(inside / (1 - inside))
    return logit


def _wald(fit: LogisticFit | None, place: int, level: float) -> tuple[float, Interval]:
    if fit is None:
        return math.nan, Interval(math.nan, math.nan, level, "none")
    estimate = float(fit.coefficients[place])
    reach = float(stats.norm.ppf((1 + level) / 2) * fit.errors[place])
    return estimate, Interval(estimate - reach, estimate + reach, level, "wald")


def _overlap(of_deaths: FloatArray, of_survivors: FloatArray) -> bool:
    """Whether a logistic regression on this one number has a finite answer: the classes overlap both ways."""
    return bool(of_deaths.min() < of_survivors.max() and of_survivors.min() < of_deaths.max())
