"""Late fusion: each model decides on its own, and their risks are averaged with weights from validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, minimize

from pefuse.errors import RunError, UsageError
from pefuse.models.late.combiner import LEAST_RISK, checked_risks

__all__ = ["WeightedAverage"]


class WeightedAverage:
    """A weighted mean of the risks of M models; the weights are at least 0 and sum to 1.

    The paper's `late average`. Fit on validation: on the training fold the more overfitted model would look best.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if not names or len(set(names)) != len(names):
            raise UsageError("A weighted average needs at least one model, each named once.")
        self.names = tuple(names)
        self.weights: NDArray[np.float64] = np.full(len(names), 1 / len(names))

    def fit(self, risks: ArrayLike, labels: ArrayLike) -> Self:
        """Choose the weights with the least log-loss on `risks` (N, M), probabilities, and `labels` (N,), 0 or 1.

        Only cases that every model scored count (a missing risk is NaN). With a single outcome among them nothing
        can be learned and the weights stay equal; models that agree on every case share their weight equally.

        Raises:
            UsageError: shapes do not fit, a risk is outside [0, 1] or a label is neither 0 nor 1.
        """
        scored, outcome = checked_risks(risks, models=len(self.names)), np.asarray(labels, dtype=np.float64)
        if outcome.shape != (len(scored),) or not np.isin(outcome, (0.0, 1.0)).all():
            raise UsageError(f"A weighted average needs {len(scored)} labels, each 0 or 1.")
        complete = ~np.isnan(scored).any(axis=1)
        scored, outcome = scored[complete], outcome[complete]
        self.weights = np.full(len(self.names), 1 / len(self.names))
        if 0 < outcome.sum() < len(outcome):
            self.weights = _least_log_loss(scored, outcome, start=self.weights)
        return self

    def predict(self, risks: ArrayLike) -> NDArray[np.float64]:
        """The averaged risk (N,) of `risks` (N, M). A missing risk (NaN) leaves its weight to the others.

        A case that no model scored is NaN; where only models of weight 0 scored, they count equally.
        """
        scored = checked_risks(risks, models=len(self.names))
        present = ~np.isnan(scored)
        weights = present * self.weights  # (N, M)
        alone = weights.sum(axis=1) == 0
        weights[alone] = present[alone]
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(present, weights * np.nan_to_num(scored), 0.0).sum(axis=1) / total)

    def predict_logit(self, risks: ArrayLike) -> NDArray[np.float64]:
        """The averaged risk as a logit (N,)."""
        risk = np.clip(self.predict(risks), LEAST_RISK, 1 - LEAST_RISK)
        return np.asarray(np.log(risk / (1 - risk)))

    def to_json(self) -> dict[str, Any]:
        """Names and weights."""
        return {"names": list(self.names), "weights": [float(weight) for weight in self.weights]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            RunError: it is not that.
        """
        try:
            average = cls([str(name) for name in content["names"]])
            weights = np.asarray(content["weights"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError("The saved weights of the late average are damaged: fit the model again.") from error
        if weights.shape != (len(average.names),) or (weights < 0).any() or not np.isclose(weights.sum(), 1):
            raise RunError("The saved weights of the late average are damaged: fit the model again.")
        average.weights = weights
        return average


def _least_log_loss(
    risks: NDArray[np.float64], labels: NDArray[np.float64], *, start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The minimum over the simplex; the loss is convex in the weights, so there is no other."""
    of_truth = np.where(labels[:, None] == 1, risks, 1 - risks)  # (N, M) probability given to what happened
    of_truth = np.clip(of_truth, LEAST_RISK, 1 - LEAST_RISK)

    def loss(weights: NDArray[np.float64]) -> float:
        return float(-np.log(of_truth @ weights).mean())

    def gradient(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(-(of_truth / (of_truth @ weights)[:, None]).mean(axis=0))

    found = minimize(
        loss,
        start,
        jac=gradient,
        method="SLSQP",
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(np.ones((1, len(start))), 1.0, 1.0),
        options={"ftol": 1e-10, "maxiter": 500},
    )
    weights = np.clip(found.x, 0.0, None)
    weights[weights < 1e-6] = 0.0
    return np.asarray(weights / weights.sum())
