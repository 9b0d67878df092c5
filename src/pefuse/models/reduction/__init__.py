"""Fewer numbers before the fusion's head: every fitted way of it, by name.

Bilinear attention is learned with the head and stands in models/bilinear.py. To add a way: one file with a
subclass of `Reduction`, and a line in `REDUCTIONS`.
"""

from pefuse.models.reduction.base import Reduction, ReductionConfig
from pefuse.models.reduction.catalogue import REDUCTIONS
from pefuse.models.reduction.linear import Pca, SparsePca
from pefuse.models.reduction.mlle import ModifiedLocallyLinear
from pefuse.models.reduction.nmf import NonNegativeFactors
from pefuse.models.reduction.spectral import SpectralEmbedding

__all__ = [
    "REDUCTIONS",
    "ModifiedLocallyLinear",
    "NonNegativeFactors",
    "Pca",
    "Reduction",
    "ReductionConfig",
    "SparsePca",
    "SpectralEmbedding",
]
