"""The fitted reductions by the names that settings and variants use."""

from __future__ import annotations

from pefuse.models.reduction.base import Reduction
from pefuse.models.reduction.linear import Pca, SparsePca
from pefuse.models.reduction.mlle import ModifiedLocallyLinear
from pefuse.models.reduction.nmf import NonNegativeFactors
from pefuse.models.reduction.spectral import SpectralEmbedding

__all__ = ["REDUCTIONS"]

REDUCTIONS: dict[str, type[Reduction]] = {
    "pca": Pca,
    "sparse-pca": SparsePca,
    "nmf": NonNegativeFactors,
    "mlle": ModifiedLocallyLinear,
    "spectral": SpectralEmbedding,
}
