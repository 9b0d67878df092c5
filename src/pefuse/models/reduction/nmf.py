"""Non-negative matrix factorisation: a row is a sum of a few parts, none taken away (Lee & Seung 1999)."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from pefuse.errors import UsageError
from pefuse.models.reduction.base import Array, Reduction, ReductionConfig

__all__ = ["NonNegativeFactors"]

MOST_ITERATIONS = 2000


class NonNegativeFactors(Reduction):
    """How much of each part a row holds.

    NMF takes nothing negative, and normalised embeddings are. With `shift` (the default) each column's training
    minimum is taken off, and a new case below it counts as at it. Without, a negative number is refused.
    """

    title: ClassVar[str] = "NMF"
    lowest: Tensor
    parts: Tensor

    def __init__(self, config: ReductionConfig, *, input_dim: int, rows: int) -> None:
        super().__init__(config, input_dim=input_dim, rows=rows)
        self._keep(lowest=(input_dim,), parts=(config.components, input_dim))

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        lowest = values.min(axis=0) if self.config.shift else np.zeros(self.input_dim)
        _check_not_negative(values - lowest)
        with warnings.catch_warnings():
            # The last steps change nothing that matters: shares are solved for exactly below.
            warnings.simplefilter("ignore", ConvergenceWarning)
            factors = NMF(n_components=components, init="nndsvda", max_iter=MOST_ITERATIONS, random_state=0)
            shares = factors.fit_transform(values - lowest)
        # A part and its share have no scale of their own: let shares vary by about one over the training rows.
        scale = shares.std(axis=0)
        return {"lowest": lowest, "parts": factors.components_ * np.where(scale > 0, scale, 1.0)[:, None]}

    def _map(self, x: Tensor) -> Tensor:
        above = x.detach().double().cpu().numpy() - self.lowest.double().cpu().numpy()
        if self.config.shift:
            above = above.clip(min=0)
        _check_not_negative(above)
        # With the parts fixed, a row's shares are the one minimum of a convex problem.
        parts = self.parts.double().cpu().numpy().T  # (D, K)
        shares = np.stack([nnls(parts, row)[0] for row in above]) if len(above) else np.empty((0, parts.shape[1]))
        return torch.from_numpy(shares).to(x)


def _check_not_negative(values: Array) -> None:
    if rows := int((values < 0).any(axis=1).sum()):
        raise UsageError(
            f"NMF: {rows} of {len(values)} rows hold a negative number, and NMF takes none: set shift to true, "
            "which takes each column's training minimum off, or choose another reduction."
        )
