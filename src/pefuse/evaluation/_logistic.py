"""Logistic regression of an outcome, by Newton's method with halved steps.

Not statsmodels' GLM: its steps are not halved, so that it overflows where a risk of 0 or 1 brings a logit of ±14,
and it warns where nothing is wrong. The two agree elsewhere; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["LogisticFit", "fit_logistic"]

FloatArray = NDArray[np.float64]

STEPS, HALVINGS = 60, 30
SEPARATED = 30.0  # a fitted logit further out than this is on its way to infinity
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
        if np.abs(design @ coefficients).max() > SEPARATED or not np.isfinite(coefficients).all():
            return None
        if likelihood - before <= CONVERGED * len(outcome):
            return _at(coefficients, expit(base + design @ coefficients), design)
    return None


def _likelihood(outcome: FloatArray, logit: FloatArray) -> float:
    return float((outcome * logit - np.logaddexp(0.0, logit)).sum())


def _at(coefficients: FloatArray, share: FloatArray, design: FloatArray) -> LogisticFit | None:
    information = (design * (share * (1 - share))[:, None]).T @ design
    try:
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return LogisticFit(coefficients, covariance)
