"""What every late fusion is: the risks of M models in, one logit out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.errors import UsageError

__all__ = ["LEAST_RISK", "Combiner", "checked_risks"]

LEAST_RISK = 1e-6  # risks are kept this far from 0 and 1 where a logarithm is taken


class Combiner(Protocol):
    """Something fitted."""

    @property
    def names(self) -> tuple[str, ...]:
        """The models whose risks it takes, in order."""

    def predict_logit(self, risks: ArrayLike) -> NDArray[np.float64]:
        """Logits (N,) of risks (N, M)."""


def checked_risks(risks: ArrayLike, *, models: int) -> NDArray[np.float64]:
    """The risks (N, M) as numbers.

    Raises:
        UsageError: another number of models, or something that is no probability (NaN is: a missing one).
    """
    scored = np.asarray(risks, dtype=np.float64)
    if scored.ndim != 2 or scored.shape[1] != models:
        raise UsageError(
            f"A late fusion of {models} models needs risks of shape (cases, {models}); "
            f"it was given {scored.shape}."
        )
    if (scored < 0).any() or (scored > 1).any():
        raise UsageError("A risk is outside [0, 1]: give probabilities, not logits.")
    return scored
