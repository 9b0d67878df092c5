"""Recalibration: risks made true on validation cases, then applied to others. The ranking of patients is kept.

Three ways, from stiff to supple. `WeightShift` needs no cases: it undoes what a class weight did to the risks.
`fit_platt` stretches and shifts the logit: two numbers, fit for tens of deaths. `fit_isotonic` follows any rising
curve: it needs hundreds of deaths, ties many patients, and overfits below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from pefuse.evaluation._inputs import both_classes, checked_risk
from pefuse.evaluation._logistic import fit_logistic
from pefuse.evaluation.calibration import logit_of

__all__ = ["IsotonicScaling", "PlattScaling", "WeightShift", "fit_isotonic", "fit_platt"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PlattScaling:
    """`logit(new) = intercept + slope * logit(old)`. A slope below 0 says the old risks ranked the wrong way."""

    intercept: float
    slope: float

    def apply(self, risk: ArrayLike) -> FloatArray:
        """Recalibrated risks `(N,)`."""
        recalibrated: FloatArray = expit(self.intercept + self.slope * logit_of(_risks(risk)))
        return recalibrated


@dataclass(frozen=True)
class IsotonicScaling:
    """A rising broken line through (old risk, new risk) `(K,)` each; outside it stays at its ends."""

    old: tuple[float, ...]
    new: tuple[float, ...]

    def apply(self, risk: ArrayLike) -> FloatArray:
        """Recalibrated risks `(N,)`."""
        recalibrated: FloatArray = np.interp(_risks(risk), self.old, self.new)
        return recalibrated


@dataclass(frozen=True)
class WeightShift:
    """Undo a class weight: training with deaths counted `weight` times raises the logit by ln(weight).

    Exact for a model that learns the weighted odds, so for logistic losses (BCE with a positive weight, or batches
    balanced to the same effect); only the calibration in the large is mended.

    Raises:
        ValueError: a weight that is not above 0.
    """

    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"A class weight is above 0 and finite, not {self.weight:g}.")

    def apply(self, risk: ArrayLike) -> FloatArray:
        """Risks `(N,)` without the weight."""
        recalibrated: FloatArray = expit(logit_of(_risks(risk)) - math.log(self.weight))
        return recalibrated


def fit_platt(labels: ArrayLike, risk: ArrayLike) -> PlattScaling:
    """Fit Platt's scaling (1999) on validation cases: a logistic regression of the outcome on the risk's logit.

    With his targets, (deaths + 1) / (deaths + 2) and 1 / (survivors + 2) in place of 1 and 0: they keep the answer
    finite where the risks separate the classes, and fade with the number of cases. A constant risk is only
    shifted.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    logit = logit_of(checked_risk(risk, died.size))
    deaths, survivors = int(died.sum()), int((~died).sum())
    targets = np.where(died, (deaths + 1) / (deaths + 2), 1 / (survivors + 2))
    if np.ptp(logit) == 0:
        mean = float(targets.mean())
        return PlattScaling(math.log(mean / (1 - mean)) - float(logit[0]), 1.0)
    fit = fit_logistic(targets, np.column_stack([np.ones(died.size), logit]))
    assert fit is not None  # with these targets the answer is finite
    intercept, slope = fit.coefficients
    return PlattScaling(float(intercept), float(slope))


def fit_isotonic(labels: ArrayLike, risk: ArrayLike) -> IsotonicScaling:
    """Fit a rising step-like curve on validation cases (Zadrozny & Elkan 2002), by scikit-learn.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    values = checked_risk(risk, died.size)
    fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(values, died.astype(np.float64))
    return IsotonicScaling(tuple(fit.X_thresholds_.tolist()), tuple(fit.y_thresholds_.tolist()))


def _risks(risk: ArrayLike) -> FloatArray:
    return checked_risk(risk, np.size(risk))
