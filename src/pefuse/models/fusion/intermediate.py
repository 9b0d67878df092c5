"""Intermediate fusion: both encoders' embeddings side by side, reduced, classified (the paper's Fig. 7e and 7f).

The reduction is PCA in the paper's Table 1 and bilinear attention in its abstract; the head is a TabNet.
"""

from __future__ import annotations

from typing import ClassVar

from pefuse.models.fusion.vectors import VectorFusion

__all__ = ["IntermediateFusion"]


class IntermediateFusion(VectorFusion):
    """Image embedding (B, E) and record embedding (B, E'): what `Fusion` takes by default."""

    name: ClassVar[str] = "intermediate"
