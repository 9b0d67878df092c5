"""Spectral embedding: coordinates in which similar rows lie together, and new rows by Nyström's extension.

Laplacian eigenmaps (Belkin & Niyogi 2003) with a Gaussian similarity W. The coordinates f are eigenvectors of
the random walk D⁻¹W with eigenvalue μ: f(i) = Σⱼ (Wᵢⱼ / Dᵢ) f(j) / μ. Read for a new row x with w(x, j) in place
of Wᵢⱼ, the same line is the extension (Bengio et al. 2004), and gives a training row the coordinates that it was
fitted with.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from torch import Tensor

from pefuse.errors import UsageError
from pefuse.models.reduction.base import Array, Reduction, ReductionConfig, spread_rows

__all__ = ["SpectralEmbedding"]


class SpectralEmbedding(Reduction):
    """The slowest `components` motions of a random walk between similar rows."""

    title: ClassVar[str] = "Spectral embedding"
    training_rows: Tensor
    coordinates: Tensor
    eigenvalues: Tensor
    scale: Tensor

    def __init__(self, config: ReductionConfig, *, input_dim: int, rows: int) -> None:
        super().__init__(config, input_dim=input_dim, rows=rows)
        components = config.components
        self._keep(
            training_rows=(self.rows, input_dim),
            coordinates=(self.rows, components),
            eigenvalues=(components,),
            scale=(),
        )

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        kept = spread_rows(values, self.rows)
        count = len(kept)
        if components >= count:
            raise UsageError(
                f"Spectral embedding: {components} components need more than {components} training rows; "
                f"there are {count}: set fewer components."
            )
        squared = cdist(kept, kept, "sqeuclidean")
        # One similarity for near and far: e⁻¹ at the median distance. Where all rows are the same, any scale does.
        scale = float(np.median(squared[np.triu_indices(count, 1)])) or 1.0
        similarity = np.exp(-squared / scale)
        root = np.sqrt(similarity.sum(axis=1))
        walk = similarity / root[:, None] / root  # symmetric, with the eigenvalues of D⁻¹W
        # The largest belongs to the constant vector, which tells nothing.
        eigenvalues, vectors = eigh(walk, subset_by_index=[count - components - 1, count - 2])
        eigenvalues, coordinates = eigenvalues[::-1], vectors[:, ::-1] / root[:, None]
        if eigenvalues[-1] < 1e-9:
            raise UsageError(
                f"Spectral embedding: the training rows differ in fewer than {components} ways: "
                "set fewer components."
            )
        coordinates = coordinates * np.sign(coordinates[np.abs(coordinates).argmax(axis=0), range(components)])
        coordinates = coordinates / coordinates.std(axis=0)
        return {
            "training_rows": kept,
            "coordinates": coordinates,
            "eigenvalues": eigenvalues,
            "scale": np.array(scale),
        }

    def _map(self, x: Tensor) -> Tensor:
        rows, training = x.detach().double(), self.training_rows.double()
        distance = torch.cdist(rows, training, compute_mode="donot_use_mm_for_euclid_dist")
        similarity = torch.exp(-distance.square() / self.scale.double())  # (B, N)
        share = similarity / similarity.sum(dim=1, keepdim=True).clamp_min(torch.finfo(similarity.dtype).tiny)
        return (share @ self.coordinates.double() / self.eigenvalues.double()).to(x.dtype)
