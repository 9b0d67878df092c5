"""Stacking: a second model learns how to join the first ones' risks (Wolpert 1992).

It must learn from predictions on cases that the first models did not train on: on their own training cases the
more overfitted one looks perfect. training/recipes/late.py sees to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from pefuse.errors import RunError, UsageError
from pefuse.models.boosting import BoostedTrees
from pefuse.models.late.combiner import LEAST_RISK, checked_risks
from pefuse.models.tabnet import TabNet

__all__ = ["InputScale", "StackedTabNet", "StackedTrees", "StackingInputs"]

InputScale = Literal["logit", "risk"]


@dataclass(frozen=True, kw_only=True)
class StackingInputs:
    """Risks as the second model takes them: `logit` or `risk`, standardised with the training cases' figures."""

    scale: InputScale
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, scale: InputScale, risks: ArrayLike, *, models: int) -> Self:
        """Learn from the training cases' out-of-fold risks (N, M)."""
        values = _scaled(scale, risks, models)
        deviation = values.std(axis=0)
        return cls(
            scale=scale,
            mean=tuple(values.mean(axis=0).tolist()),
            deviation=tuple(np.where(deviation > 1e-6, deviation, 1.0).tolist()),
        )

    def __call__(self, risks: ArrayLike) -> NDArray[np.float32]:
        """Risks (N, M) to inputs (N, M)."""
        values = _scaled(self.scale, risks, len(self.mean))
        scaled = (values - np.array(self.mean)) / np.array(self.deviation)
        return np.asarray(scaled, dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"scale": self.scale, "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave.

        Raises:
            RunError: the content is damaged.
        """
        try:
            scale, mean, deviation = content["scale"], content["mean"], content["deviation"]
            numbers = np.array([mean, deviation], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError("The saved inputs of the late fusion are damaged: fit the model again.") from error
        right = numbers.ndim == 2 and np.isfinite(numbers).all() and (numbers[1] > 0).all()
        if not right or scale not in ("logit", "risk"):
            raise RunError("The saved inputs of the late fusion are damaged: fit the model again.")
        return cls(scale=scale, mean=tuple(numbers[0].tolist()), deviation=tuple(numbers[1].tolist()))


@dataclass(frozen=True, kw_only=True)
class StackedTabNet:
    """A TabNet on the models' risks (the paper's Fig. 7b)."""

    names: tuple[str, ...]
    inputs: StackingInputs
    network: TabNet
    logit_shift: float

    def predict_logit(self, risks: ArrayLike) -> NDArray[np.float64]:
        """Logits (N,) of risks (N, M) of which none is missing."""
        return self.logits_of_rows(_complete(self.inputs(risks), self.names))

    @torch.inference_mode()
    def logits_of_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits (N,) of what `inputs` gave (N, M)."""
        logits: NDArray[np.float64] = self.network.eval()(torch.from_numpy(rows)).logit.double().numpy()
        return logits - self.logit_shift


@dataclass(frozen=True, kw_only=True)
class StackedTrees:
    """Boosted trees on the models' risks (the paper's Fig. 7c)."""

    names: tuple[str, ...]
    inputs: StackingInputs
    trees: BoostedTrees

    def predict_logit(self, risks: ArrayLike) -> NDArray[np.float64]:
        """Logits (N,) of risks (N, M) of which none is missing."""
        return self.trees.predict_logit(_complete(self.inputs(risks), self.names))


def _scaled(scale: InputScale, risks: ArrayLike, models: int) -> NDArray[np.float64]:
    scored = checked_risks(risks, models=models)
    if scale == "risk":
        return scored
    odds: NDArray[np.float64] = logit(np.clip(scored, LEAST_RISK, 1 - LEAST_RISK))
    return odds


def _complete(rows: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    if missing := int(np.isnan(rows).any(axis=1).sum()):
        raise UsageError(
            f"{missing} of {len(rows)} cases lack a risk of {' or '.join(names)}, and this late fusion needs "
            "each: leave them out, or use late-average."
        )
    return rows
