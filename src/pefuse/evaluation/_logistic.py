"""Logistic regression of an outcome, by Newton's method with halved steps.

Not statsmodels' GLM: its steps are not halved, so that it overflows where a risk of 0 or 1 brings a logit of ±14,
and it warns where nothing is wrong. The two agree elsewhere; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import expit

__all__ = ["LogisticFit", "fit_logistic"]

FloatArray = NDArray[np.float64]

STEPS, HALVINGS = 60, 30
FAR = 10.0  # a fitted logit further out than this may be on its way to infinity: the classes are looked at
CONVERGED = 1e-10  # of the log-likelihood, relative to the number of cases


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients `(K,)` and their covariance `(K, K)`, the inverse of the information."""

    coefficients: FloatArray
    covariance: FloatArray

    @property
    def errors(self) -> FloatArray:
        """Standard errors `(K,)`."""
        found: FloatArray = np.sqrt(np.diag(self.covariance))
        return found


def fit_logistic(outcome: FloatArray, design: FloatArray, offset: FloatArray | None = None) -> LogisticFit | None:
    """Maximum likelihood of `logit P = offset + design @ coefficients`.

    Args:
        outcome: `(N,)`, in [0, 1]: 0, 1, or a share between.
        design: `(N, K)`; a constant is a column like any other.
        offset: `(N,)`, added to the logit as it is; None = 0.

    Returns:
        None where there is no finite answer: the classes are separated, or a column follows from the others.
    """
    base = np.zeros(len(outcome)) if offset is None else offset
    coefficients = np.zeros(design.shape[1])
    likelihood = _likelihood(outcome, base)
    looked_at = False
    for _ in range(STEPS):
        share = expit(base + design @ coefficients)
        information = (design * (share * (1 - share))[:, None]).T @ design
        try:
            step = np.linalg.solve(information, design.T @ (outcome - share))
        except np.linalg.LinAlgError:
            return None
        taken = next(
            (half for half in 0.5 ** np.arange(HALVINGS)
             if _likelihood(outcome, base + design @ (coefficients + half * step)) >= likelihood),
            0.0,
        )  # fmt: skip
        coefficients = coefficients + taken * step
        before, likelihood = likelihood, _likelihood(outcome, base + design @ coefficients)
        if not np.isfinite(coefficients).all():
            return None
        if not looked_at and np.abs(base + design @ coefficients).max() > FAR:
            if _separated(outcome, design):
                return None
            looked_at = True
        if likelihood - before <= CONVERGED * len(outcome):
            return _at(coefficients, expit(base + design @ coefficients), design)
    return None


def _separated(outcome: FloatArray, design: FloatArray) -> bool:
    """Whether some combination of columns has no 1 below 0 and no 0 above it, and is not 0 for all cases.

    The likelihood then rises for ever along it (Albert & Anderson 1984). A share between 0 and 1 allows no
    movement. How far out a fitted logit lies tells nothing: one of 30 is right where a risk of 1e-6 meets a slope
    of 2.
    """
    scaled = design / np.maximum(np.abs(design).max(axis=0), np.finfo(np.float64).tiny)
    towards = scaled * np.where(outcome == 1, 1.0, -1.0)[:, None]
    most = ((outcome == 0) | (outcome == 1)).astype(np.float64)
    found = linprog(
        -towards.sum(axis=0),
        A_ub=np.vstack([-towards, towards]),
        b_ub=np.concatenate([0 * most, most]),
        bounds=(None, None),
    )
    # Any such combination can be stretched until a case is at 1, so that the sum is 0 or at least that.
    return bool(found.status == 0 and -found.fun > 0.5)


def _likelihood(outcome: FloatArray, logit: FloatArray) -> float:
    return float((outcome * logit - np.logaddexp(0.0, logit)).sum())


def _at(coefficients: FloatArray, share: FloatArray, design: FloatArray) -> LogisticFit | None:
    information = (design * (share * (1 - share))[:, None]).T @ design
    try:
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return LogisticFit(coefficients, covariance)
