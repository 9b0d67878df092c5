"""Modified locally linear embedding: rows are put together from their neighbours, and so are their coordinates.

Zhang & Wang 2006 (MLLE); a new row's coordinates as in Saul & Roweis 2003: the weights that make the row from its
nearest training rows make its coordinates from theirs.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from sklearn.manifold import LocallyLinearEmbedding
from torch import Tensor

from pefuse.errors import UsageError
from pefuse.models.reduction.base import Array, Reduction, ReductionConfig, spread_rows

__all__ = ["ModifiedLocallyLinear"]

RIDGE = 1e-3  # of the neighbours' Gram matrix, as a share of its trace: scikit-learn's


class ModifiedLocallyLinear(Reduction):
    """Coordinates on a curved sheet of `components` dimensions."""

    title: ClassVar[str] = "MLLE"
    training_rows: Tensor
    coordinates: Tensor

    def __init__(self, config: ReductionConfig, *, input_dim: int, rows: int) -> None:
        super().__init__(config, input_dim=input_dim, rows=rows)
        self._keep(training_rows=(self.rows, input_dim), coordinates=(self.rows, config.components))

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        neighbours, kept = self.config.neighbours, spread_rows(values, self.rows)
        if not components <= neighbours < len(kept):
            raise UsageError(
                f"MLLE: {neighbours} neighbours cannot place {len(kept)} training rows in {components} dimensions:"
                f" set neighbours from {components} to {len(kept) - 1}."
            )
        method = LocallyLinearEmbedding(
            n_neighbors=neighbours,
            n_components=components,
            method="modified",
            reg=RIDGE,
            eigen_solver="dense",  # the same answer each time
            neighbors_algorithm="brute",
        )
        try:
            coordinates = method.fit_transform(kept)
        except (ValueError, np.linalg.LinAlgError) as error:
            raise UsageError(
                "MLLE: the training rows lie so that their neighbourhoods have no solution (many are the same, "
                "most likely): set more neighbours, or choose another reduction."
            ) from error
        # Its scale is that of an eigenvector's: bring each coordinate to a deviation of 1.
        deviation = coordinates.std(axis=0)
        return {"training_rows": kept, "coordinates": coordinates / np.where(deviation > 0, deviation, 1.0)}

    def _map(self, x: Tensor) -> Tensor:
        rows, training = x.detach().double(), self.training_rows.double()
        distance = torch.cdist(rows, training, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distance.topk(self.config.neighbours, largest=False).indices  # (B, k)
        weights = _barycentric(rows, training[nearest])  # (B, k)
        return torch.einsum("bk,bkc->bc", weights, self.coordinates.double()[nearest]).to(x.dtype)


def _barycentric(rows: Tensor, neighbours: Tensor) -> Tensor:
    """Weights (B, k) that sum to 1 and come nearest to making `rows` (B, D) from `neighbours` (B, k, D)."""
    offset = neighbours - rows[:, None]  # (B, k, D)
    gram = offset @ offset.transpose(1, 2)  # (B, k, k)
    trace = gram.diagonal(dim1=1, dim2=2).sum(dim=1)  # (B,)
    ridge = RIDGE * torch.where(trace > 0, trace, 1.0)
    gram = gram + ridge[:, None, None] * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram, torch.ones_like(gram[..., 0]))
    scaled: Tensor = weights / weights.sum(dim=1, keepdim=True)
    return scaled
