"""Calibration: do patients with a predicted risk of 20 % die in 20 % of cases?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from numpy.typing import ArrayLike, NDArray
from statsmodels.nonparametric.smoothers_lowess import lowess

from pefuse.evaluation._inputs import both_classes, checked_labels, checked_risk

__all__ = [
    "CalibrationBins",
    "CalibrationLine",
    "brier_score",
    "calibration_bins",
    "calibration_line",
    "expected_calibration_error",
    "smoothed_calibration",
]

FloatArray = NDArray[np.float64]

# A risk of exactly 0 or 1 has no logit; this is 14 on the logit scale, past anything a model of ours says.
SMALLEST_RISK = 1e-6
# Lowess on fewer distinct risks fits a line through nothing; the share observed at each is the honest curve.
DISTINCT_RISKS_TO_SMOOTH = 10


@dataclass(frozen=True)
class CalibrationBins:
    """Cases grouped by risk: mean risk, share and number of deaths, and number of cases in each group `(B,)`."""

    mean_risk: FloatArray
    death_share: FloatArray
    deaths: NDArray[np.int64]
    cases: NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationLine:
    """The recalibration of Cox (1958): 1 and 0 are perfect.

    `slope` < 1 means risks too extreme. `intercept` is calibration in the large: > 0 means that more died
    than was predicted. The slope is NaN where the risks separate the classes: it would be infinite.
    """

    slope: float
    intercept: float


def brier_score(labels: ArrayLike, risk: ArrayLike) -> float:
    """Mean squared distance of risk and outcome (Brier 1950); 0 is perfect."""
    died = checked_labels(labels)
    return float(np.mean((checked_risk(risk, died.size) - died) ** 2))


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


def calibration_line(labels: ArrayLike, risk: ArrayLike) -> CalibrationLine:
    """Calibration slope, and intercept with the slope held at 1 (Cox 1958; Van Calster 2019), by logistic fits.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    values = np.clip(checked_risk(risk, died.size), SMALLEST_RISK, 1 - SMALLEST_RISK)
    logit = np.log(values / (1 - values))
    outcome = died.astype(np.float64)
    constant = np.ones((died.size, 1))
    intercept = sm.GLM(outcome, constant, family=sm.families.Binomial(), offset=logit).fit().params[0]
    if not _overlap(logit[died], logit[~died]):
        return CalibrationLine(slope=math.nan, intercept=float(intercept))
    slope = sm.GLM(outcome, sm.add_constant(logit), family=sm.families.Binomial()).fit().params[1]
    return CalibrationLine(slope=float(slope), intercept=float(intercept))


def smoothed_calibration(
    labels: ArrayLike, risk: ArrayLike, *, points: int = 100, fraction: float = 2 / 3
) -> tuple[FloatArray, FloatArray]:
    """Observed share of deaths along the risk, by lowess without robustness steps (Austin & Steyerberg 2014).

    Returns:
        Risks and observed shares, `(points,)` each, from the lowest to the highest risk given, cut to [0, 1]. With
        fewer than ten distinct risks there is nothing to smooth: each risk and the share observed at it.
    """
    died = checked_labels(labels)
    values = checked_risk(risk, died.size)
    distinct, group = np.unique(values, return_inverse=True)
    if distinct.size < DISTINCT_RISKS_TO_SMOOTH:
        return distinct, np.bincount(group, weights=died) / np.bincount(group)
    grid = np.linspace(values.min(), values.max(), points)
    with np.errstate(divide="ignore", invalid="ignore"):  # a window full of ties has no slope: dropped below
        smooth = lowess(died.astype(np.float64), values, frac=fraction, it=0, xvals=grid)
    told = np.isfinite(smooth)
    return grid[told], np.clip(smooth[told], 0.0, 1.0)


def _overlap(of_deaths: FloatArray, of_survivors: FloatArray) -> bool:
    """Whether a logistic regression on this one number has a finite answer: the classes overlap both ways."""
    return bool(of_deaths.min() < of_survivors.max() and of_survivors.min() < of_deaths.max())
