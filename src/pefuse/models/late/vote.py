"""Majority voting: each model says yes or no at its own threshold; the risk is the share that says yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from pefuse.errors import RunError, UsageError
from pefuse.evaluation import youden_threshold
from pefuse.models.late.combiner import LEAST_RISK, checked_risks

__all__ = ["MajorityVote"]


class MajorityVote:
    """The share of M models whose risk reaches their own Youden threshold, chosen on validation.

    With two models there are three answers, so many cases tie: a tie counts half in an AUC.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if not names or len(set(names)) != len(names):
            raise UsageError("A vote needs at least one model, each named once.")
        self.names = tuple(names)
        self.thresholds: NDArray[np.float64] = np.full(len(names), 0.5)

    def fit(self, risks: ArrayLike, labels: ArrayLike) -> Self:
        """Choose each model's threshold on the validation cases' risks (N, M) and labels (N,).

        With a single outcome among them there is nothing to choose by, and 0.5 stays.
        """
        scored, outcome = checked_risks(risks, models=len(self.names)), np.asarray(labels, dtype=np.float64)
        if outcome.shape != (len(scored),) or not np.isin(outcome, (0.0, 1.0)).all():
            raise UsageError(f"A vote needs {len(scored)} labels, each 0 or 1.")
        if 0 < outcome.sum() < len(outcome):
            self.thresholds = np.array([youden_threshold(outcome, own) for own in scored.T])
        return self

    def predict(self, risks: ArrayLike) -> NDArray[np.float64]:
        """The share of yes (N,). A model without a risk for a case (NaN) does not vote; NaN if none does."""
        scored = checked_risks(risks, models=len(self.names))
        voters = (~np.isnan(scored)).sum(axis=1)
        votes = (scored >= self.thresholds).sum(axis=1)
        share: NDArray[np.float64] = np.where(voters > 0, votes / np.maximum(voters, 1), np.nan)
        return share

    def predict_logit(self, risks: ArrayLike) -> NDArray[np.float64]:
        """The share as a logit; none and all of the votes are kept finite."""
        share: NDArray[np.float64] = logit(np.clip(self.predict(risks), LEAST_RISK, 1 - LEAST_RISK))
        return share

    def to_json(self) -> dict[str, Any]:
        """Names and thresholds."""
        return {"names": list(self.names), "thresholds": self.thresholds.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            RunError: the content is damaged.
        """
        try:
            vote = cls([str(name) for name in content["names"]])
            thresholds = np.array(content["thresholds"], dtype=np.float64)
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise RunError("The saved thresholds of the vote are damaged: fit the model again.") from error
        if thresholds.shape != (len(vote.names),) or not np.isfinite(thresholds).all():
            raise RunError("The saved thresholds of the vote are damaged: fit the model again.")
        vote.thresholds = thresholds
        return vote
