"""Principal components, and their sparse form: one matrix and one shift, so a loss can pass through."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.decomposition import PCA, SparsePCA
from torch import Tensor
from torch.nn import functional

from pefuse.errors import UsageError
from pefuse.models.reduction.base import Array, Reduction, ReductionConfig

__all__ = ["Pca", "SparsePca"]


class _Linear(Reduction):
    passes_gradient = True
    weight: Tensor
    bias: Tensor

    def __init__(self, config: ReductionConfig, *, input_dim: int, rows: int) -> None:
        super().__init__(config, input_dim=input_dim, rows=rows)
        self._keep(weight=(config.components, input_dim), bias=(config.components,))

    def _map(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)


class Pca(_Linear):
    """The directions in which the training rows vary most."""

    title: ClassVar[str] = "PCA"

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        pca = PCA(n_components=components, svd_solver="full").fit(values)
        return {"weight": pca.components_, "bias": -pca.components_ @ pca.mean_}


class SparsePca(_Linear):
    """Components most of whose loadings are zero (Zou, Hastie & Tibshirani 2006)."""

    title: ClassVar[str] = "Sparse PCA"

    def _fit(self, values: Array, components: int) -> dict[str, Array]:
        pca = SparsePCA(n_components=components, alpha=self.config.sparsity, method="cd", random_state=0).fit(
            values
        )
        loadings = pca.components_  # (K, D)
        if not loadings.any(axis=1).all():
            raise UsageError(
                f"Sparse PCA: at a sparsity of {self.config.sparsity:g} a component has no loading left: "
                "lower it, or set fewer components."
            )
        # Rows to scores by ridge regression on the loadings, as scikit-learn does.
        gram = loadings @ loadings.T + pca.ridge_alpha * np.eye(components)
        weight = np.linalg.solve(gram, loadings)
        return {"weight": weight, "bias": -weight @ pca.mean_}
