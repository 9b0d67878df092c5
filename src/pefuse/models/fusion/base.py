"""What every fusion is: it takes something of each encoder's output, and makes one logit of it.

A new fusion is one file with a config and a subclass of `Fusion`, and a row in models/zoo.py: docs/add-a-model.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.models.config import ModelConfig
from pefuse.models.tabnet import TabNet, TabNetOutput

__all__ = ["EmbeddingNorm", "Fusion", "FusionOutput", "ImageEncoder", "ImageOutput", "Normalise", "present_flags"]

Normalise = Literal["standard", "l2", "layer"]


class ImageOutput(Protocol):
    """What an image encoder gives of B scans: logit (B,), embedding (B, E), last map (B, C, z, y, x)."""

    @property
    def logit(self) -> Tensor: ...
    @property
    def embedding(self) -> Tensor: ...
    @property
    def features(self) -> Tensor: ...


class ImageEncoder(Protocol):
    """What is known of an image encoder without running it."""

    embedding_dim: int
    feature_channels: int

    def feature_grid(self, grid: tuple[int, int, int]) -> tuple[int, int, int]:
        """The last map's grid for a scan of that grid."""


@dataclass(frozen=True, kw_only=True)
class FusionOutput:
    """Of B cases: `logit` (B,), and `fused` (B, K), the vector that the decision was made from.

    `masks` (S, B, K) are a TabNet head's over it, `attention` (B, G, N, M) bilinear attention's map; None where
    there is none. `sparsity_loss` is a TabNet head's, at least 0, to be added.
    """

    logit: Tensor
    fused: Tensor
    sparsity_loss: Tensor
    masks: Tensor | None = None
    attention: Tensor | None = None


class Fusion(nn.Module):
    """Base of the fusions.

    What it takes of an encoder is a row of numbers or of tokens a case, so that it can be kept: with fixed
    encoders the fusion is trained on what was kept, without running them again.
    """

    name: ClassVar[str]  # in a bundle: never reuse one for another network
    Config: ClassVar[type[ModelConfig]]
    settings: ClassVar[str] = "fusion"  # the part of a run's settings that it is trained by
    config: Any

    @classmethod
    def sized(cls, config: Any, *, image: tuple[int, ...], ehr: tuple[int, ...], rows: int) -> Any:
        """`config` with the widths that the data have: by default its `image_dim` and `ehr_dim`.

        Args:
            image, ehr: shape of what `take_image` and `take_ehr` give of one case.
            rows: training cases.
        """
        (image_dim,), (ehr_dim,) = image, ehr
        return replace(config, image_dim=image_dim, ehr_dim=ehr_dim)

    @staticmethod
    def take_image(output: ImageOutput) -> Tensor:
        """What it takes of the scans' encoder: by default the embedding (B, E)."""
        return output.embedding

    @staticmethod
    def take_ehr(output: TabNetOutput) -> Tensor:
        """What it takes of the record's encoder: by default the embedding (B, E)."""
        return output.embedding

    @staticmethod
    def taken_shapes(image: ImageEncoder, ehr: TabNet, grid: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What it would take of one case from these encoders of scans of `grid`³: by default their embeddings."""
        return (image.embedding_dim,), (ehr.embedding_dim,)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What it takes of one case, of either modality: by default a vector of `image_dim`, one of `ehr_dim`."""
        return (self.config.image_dim,), (self.config.ehr_dim,)

    def prepare(self, image: Tensor, ehr: Tensor) -> Self:
        """Fit what is not trained, scales and reductions, to the training cases (N, ...); returns itself."""
        return self

    @property
    def passes_gradient(self) -> bool:
        """Whether a loss on its logit reaches the encoders."""
        return True

    @property
    def learned_reduction(self) -> bool:
        """Whether it reduces by something that learns with its head, as bilinear attention does."""
        return False

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> FusionOutput:
        """Fuse what was taken of B cases.

        `has_image` and `has_ehr` (B,) bool say which rows have each; None: all. What an absent row holds does not
        matter; it may be NaN.
        """
        raise NotImplementedError


class EmbeddingNorm(nn.Module):
    """One embedding to a common scale: by the training fold's mean and deviation, to length 1, or row by row."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, kind: Normalise, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., D)."""
        if self.kind == "l2":
            return functional.normalize(x, dim=-1)
        if self.kind == "layer":
            return functional.layer_norm(x, x.shape[-1:])
        return (x - self.mean) / self.deviation

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Learn from rows (N, ..., D). A number that never changes is only centred."""
        rows = x.flatten(0, -2)
        deviation = rows.std(dim=0, unbiased=False)
        self.mean.copy_(rows.mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))


def present_flags(present: Tensor | None, x: Tensor) -> Tensor:
    """The flags themselves, or all True for the rows of `x`."""
    return torch.ones(len(x), dtype=torch.bool, device=x.device) if present is None else present


def no_loss(like: Tensor) -> Tensor:
    """A zero to add to a loss."""
    return like.new_zeros(())
