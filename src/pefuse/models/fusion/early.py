"""Early fusion: the image's embedding beside the record itself, reduced, then classified (the paper's Fig. 7d).

The record comes as TabNet's embedding generator gives it: a learned vector for each categorical column, every
other column as it is. Compare with intermediate.py, where the record is encoded first.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pefuse.models.fusion.base import ImageEncoder
from pefuse.models.fusion.vectors import VectorFusion
from pefuse.models.tabnet import TabNet, TabNetOutput

__all__ = ["EarlyFusion"]


class EarlyFusion(VectorFusion):
    """Image embedding (B, E) and the record's embedded columns (B, D')."""

    name: ClassVar[str] = "early"

    @staticmethod
    def take_ehr(output: TabNetOutput) -> Tensor:
        """The columns before anything was made of them (B, D')."""
        return output.columns

    @staticmethod
    def taken_shapes(image: ImageEncoder, ehr: TabNet, grid: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return (image.embedding_dim,), (ehr.embedder.width,)
