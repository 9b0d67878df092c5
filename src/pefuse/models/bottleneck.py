"""Multimodal bottleneck transformer: two modalities that speak to each other through a few tokens, and only so.

Nagrani et al. 2021 (arXiv 2107.00135). Each modality attends to its own tokens and to the shared bottleneck
tokens; each makes its own new bottleneck, all from the same incoming one, and their mean is the next layer's.
The fusion paper uses 10 such tokens between Swin UNETR's and TabNet's and names no depth, width or tokenisation:
here the image's tokens are the patches of Swin's map and the record's are TabNet's decision steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig
from pefuse.models.fusion.base import (
    EmbeddingNorm,
    Fusion,
    FusionOutput,
    ImageEncoder,
    ImageOutput,
    Normalise,
    no_loss,
    present_flags,
)
from pefuse.models.tabnet import TabNet, TabNetOutput

__all__ = ["BottleneckConfig", "BottleneckFusion", "FusionLayer", "SelfAttentionBlock"]


@dataclass(frozen=True, kw_only=True)
class BottleneckConfig(ModelConfig):
    """Options of `BottleneckFusion`. Widths and numbers of tokens come from the data."""

    image_dim: int = 768
    image_tokens: int = 64
    ehr_dim: int = 64
    ehr_tokens: int = 3
    normalise: Normalise = "standard"  # of each modality's tokens, channel by channel
    width: int = 64
    layers: int = 2
    fusion_layer: int = 0  # layers before it are each modality's alone
    heads: int = 4
    mlp_ratio: int = 4
    bottleneck_tokens: int = 10  # the paper's
    dropout: float = 0.1  # the paper's for transformers
    readout: Literal["token", "mean"] = "token"  # a class token for each modality, or the mean of its tokens

    def __post_init__(self) -> None:
        names = ("image_dim", "image_tokens", "ehr_dim", "ehr_tokens", "width", "layers", "heads", "mlp_ratio")
        for name in (*names, "bottleneck_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"Bottleneck transformer: {name} is {getattr(self, name)}; it must be at least 1."
                )
        if self.width % self.heads:
            raise UsageError(f"Bottleneck transformer: {self.heads} heads do not divide the width {self.width}.")
        if not 0 <= self.fusion_layer < self.layers:
            raise UsageError(
                f"Bottleneck transformer: fusion_layer is {self.fusion_layer}; "
                f"it must lie in 0..{self.layers - 1}."
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"Bottleneck transformer: dropout is {self.dropout}; it must lie in [0, 1).")


class BottleneckFusion(Fusion):
    """Image tokens (B, N, image_dim) and record tokens (B, S, ehr_dim) to a logit.

    `fused` (B, 2 · width) is both modalities' readout side by side. An absent modality's tokens are learned.
    """

    name: ClassVar[str] = "bottleneck"
    Config: ClassVar[type[ModelConfig]] = BottleneckConfig
    settings: ClassVar[str] = "mbt"
    config: BottleneckConfig

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        self.config = config
        self.image = Tokens(config, count=config.image_tokens, width=config.image_dim)
        self.ehr = Tokens(config, count=config.ehr_tokens, width=config.ehr_dim)
        self.bottleneck = nn.Parameter(0.02 * torch.randn(1, config.bottleneck_tokens, config.width))
        self.layers = nn.ModuleList(
            FusionLayer(config, shared=index >= config.fusion_layer) for index in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.classifier = nn.Linear(config.width, 1)  # the same for both modalities; their logits are averaged
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    @classmethod
    def sized(cls, config: Any, *, image: tuple[int, ...], ehr: tuple[int, ...], rows: int) -> BottleneckConfig:
        (image_tokens, image_dim), (ehr_tokens, ehr_dim) = image, ehr
        sized: BottleneckConfig = replace(
            config, image_tokens=image_tokens, image_dim=image_dim, ehr_tokens=ehr_tokens, ehr_dim=ehr_dim
        )
        return sized

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        own = self.config
        return (own.image_tokens, own.image_dim), (own.ehr_tokens, own.ehr_dim)

    @staticmethod
    def take_image(output: ImageOutput) -> Tensor:
        """The patches of the image encoder's map (B, N, C)."""
        return output.features.flatten(2).transpose(1, 2)

    @staticmethod
    def take_ehr(output: TabNetOutput) -> Tensor:
        """TabNet's decisions, step by step (B, S, n_d)."""
        return output.steps.transpose(0, 1)

    @staticmethod
    def taken_shapes(image: ImageEncoder, ehr: TabNet, grid: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        tokens = math.prod(image.feature_grid((grid, grid, grid)))
        return (tokens, image.feature_channels), (ehr.config.n_steps, ehr.config.n_d)

    @torch.no_grad()
    def prepare(self, image: Tensor, ehr: Tensor) -> Self:
        self.image.scale.fit(image)
        self.ehr.scale.fit(ehr)
        return self

    def forward(
        self, image: Tensor, ehr: Tensor, has_image: Tensor | None = None, has_ehr: Tensor | None = None
    ) -> FusionOutput:
        x = self.image(image, present_flags(has_image, image))  # (B, [1 +] N, width)
        y = self.ehr(ehr, present_flags(has_ehr, ehr))  # (B, [1 +] S, width)
        shared = self.bottleneck.expand(len(image), -1, -1)  # (B, 10, width)
        for layer in self.layers:
            x, y, shared = layer(x, y, shared)
        read = torch.stack([self._read(x), self._read(y)], dim=1)  # (B, 2, width)
        logit = self.classifier(read).mean(dim=1).squeeze(1)  # (B,)
        return FusionOutput(logit=logit, fused=read.flatten(1), sparsity_loss=no_loss(logit))

    def _read(self, tokens: Tensor) -> Tensor:
        """One vector (B, width) of a modality; the bottleneck is not read."""
        tokens = self.norm(tokens)
        return tokens[:, 0] if self.config.readout == "token" else tokens.mean(dim=1)


class Tokens(nn.Module):
    """A modality's tokens to the common width, with their places, and a class token first if that is read."""

    def __init__(self, config: BottleneckConfig, *, count: int, width: int) -> None:
        super().__init__()
        self.scale = EmbeddingNorm(config.normalise, width)
        self.project = nn.Linear(width, config.width)
        self.place = nn.Parameter(0.02 * torch.randn(1, count, config.width))
        self.absent = nn.Parameter(torch.zeros(1, count, config.width))  # in place of tokens that are not there
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.Parameter(torch.zeros(1, 1, config.width)) if config.readout == "token" else None

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        # Zeros go in before the norm and the stand-in comes after: a NaN there would spoil the gradient.
        known: Tensor = self.project(self.scale(torch.where(present[:, None, None], x, 0.0)))
        tokens: Tensor = self.dropout(torch.where(present[:, None, None], known, self.absent) + self.place)
        if self.first is None:
            return tokens
        return torch.cat([self.first.expand(len(x), -1, -1), tokens], dim=1)


class FusionLayer(nn.Module):
    """A block for each modality; with `shared` each sees the bottleneck, whose next state is both's mean."""

    def __init__(self, config: BottleneckConfig, *, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        self.image = SelfAttentionBlock(config)
        self.ehr = SelfAttentionBlock(config)

    def forward(self, x: Tensor, y: Tensor, bottleneck: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not self.shared:
            return self.image(x), self.ehr(y), bottleneck
        count = bottleneck.shape[1]
        x = self.image(torch.cat([x, bottleneck], dim=1))
        y = self.ehr(torch.cat([y, bottleneck], dim=1))
        return x[:, :-count], y[:, :-count], (x[:, -count:] + y[:, -count:]) / 2


class SelfAttentionBlock(nn.Module):
    """Pre-norm transformer block: attention, then an MLP, each added to its input."""

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        width = config.width
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, dropout=config.dropout, batch_first=True)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.mlp_ratio * width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.mlp_ratio * width, width),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T, width) to tokens of the same shape."""
        x = self.attention_norm(tokens)
        tokens = tokens + self.dropout(self.attention(x, x, x, need_weights=False)[0])
        out: Tensor = tokens + self.dropout(self.mlp(self.mlp_norm(tokens)))
        return out
