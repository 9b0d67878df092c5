"""Net benefit: is acting on the model better than treating everyone, or no one? (Vickers & Elkin 2006)

Who acts from a risk of t on counts t / (1 - t) false alarms as one death found: `tp/N - fp/N * t / (1 - t)`. A net
benefit of 0.05 is worth 5 deaths found among 100 patients without one false alarm. It is read at the risk t from
which one would act, and only there; the risk must be calibrated, or the threshold does not mean what it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import checked_labels, checked_risk

__all__ = ["DecisionCurve", "decision_curve", "net_benefit", "net_benefit_of_all"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefits at `thresholds` `(T,)`; treating no one has 0 everywhere. Intervals are pointwise, percentile.

    `over_default` is the model minus the better of treating all and none, with its interval: above 0, the model
    helps.
    """

    thresholds: FloatArray
    model: FloatArray
    low: FloatArray
    high: FloatArray
    all: FloatArray
    over_default: FloatArray
    over_default_low: FloatArray
    over_default_high: FloatArray
    resamples: int
    level: float


def net_benefit(labels: ArrayLike, risk: ArrayLike, thresholds: ArrayLike) -> FloatArray:
    """Net benefit `(T,)` of calling positive from each of `thresholds` on (`risk >= threshold`).

    Raises:
        ValueError: a label or risk that is not one, or thresholds outside [0, 1).
    """
    died = checked_labels(labels)
    values, at = checked_risk(risk, died.size), _checked_thresholds(thresholds)
    return np.array([_of_calls(died, values >= threshold, threshold) for threshold in at])


def net_benefit_of_all(labels: ArrayLike, thresholds: ArrayLike) -> FloatArray:
    """Net benefit `(T,)` of treating everyone."""
    died, at = checked_labels(labels), _checked_thresholds(thresholds)
    return np.array([_of_calls(died, np.ones_like(died), threshold) for threshold in at])


def decision_curve(
    labels: ArrayLike,
    risk: ArrayLike,
    thresholds: ArrayLike,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> DecisionCurve:
    """Net benefit over thresholds with a percentile bootstrap of the patients.

    What a bootstrap sample contributes is only how many of its deaths and survivors lie between two thresholds.
    Those counts are multinomial, so they are drawn as such: the same distribution as drawing patients, at a cost
    that does not grow with their number.

    Args:
        labels: `(N,)`, 0 or 1; one class alone is allowed.
        risk: `(N,)`, calibrated probabilities.
        thresholds: `(T,)` in [0, 1), rising.
        resamples: how many bootstrap samples, at least 1.
        level: of the pointwise intervals.
        seed: a seed or a generator.
    """
    if resamples < 1:
        raise ValueError(f"At least one resample is needed, not {resamples}.")
    died = checked_labels(labels)
    at = _checked_thresholds(thresholds)
    if (np.diff(at) <= 0).any():
        raise ValueError("The thresholds of a decision curve need to rise.")
    counts = _counts(died, checked_risk(risk, died.size), at)
    drawn = np.random.default_rng(seed).multinomial(died.size, counts.ravel() / died.size, size=resamples)
    model, everyone = _benefits(counts[None], at)
    models, everyones = _benefits(drawn.reshape(resamples, *counts.shape), at)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(models, tails, axis=0)
    over_low, over_high = np.quantile(models - np.maximum(everyones, 0.0), tails, axis=0)
    return DecisionCurve(
        thresholds=at,
        model=model[0],
        low=low,
        high=high,
        all=everyone[0],
        over_default=model[0] - np.maximum(everyone[0], 0.0),
        over_default_low=over_low,
        over_default_high=over_high,
        resamples=resamples,
        level=level,
    )


def _counts(died: NDArray[np.bool_], risk: FloatArray, at: FloatArray) -> NDArray[np.int64]:
    """Deaths and survivors `(2, T + 1)` below all thresholds, between two of them, and from the last one on."""
    place = np.searchsorted(at, risk, side="right")  # how many thresholds the risk reaches
    return np.stack([np.bincount(place[of], minlength=at.size + 1) for of in (died, ~died)])


def _benefits(counts: NDArray[np.int64], at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Net benefit `(R, T)` of the model and of treating everyone, from R samples of `_counts`."""
    reached = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]  # (R, 2, T + 1): with a risk of at least that
    everyone, called = reached[..., :1], reached[..., 1:]
    cases, weight = counts[0].sum(), at / (1 - at)
    model, treat_all = ((of[:, 0] - of[:, 1] * weight) / cases for of in (called, everyone))
    return model, treat_all


def _checked_thresholds(thresholds: ArrayLike) -> FloatArray:
    values = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not ((values >= 0) & (values < 1)).all():
        raise ValueError("Thresholds of a risk to act on lie in [0, 1), at least one of them.")
    return values


def _of_calls(died: NDArray[np.bool_], called: NDArray[np.bool_], threshold: float) -> float:
    weight = threshold / (1 - threshold)
    return float((called & died).sum() - weight * (called & ~died).sum()) / died.size
