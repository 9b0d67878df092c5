"""SANet: a 3D DenseNet-121 with residual attention after its dense blocks, for one CT volume.

Cahan et al. 2021 (arXiv 2107.12009) for the idea; the exact structure is that of the code released with the fusion
paper (Sci Rep 2023;13:7544). Presets: `paper` (what the text says), `released` (what the code does), `demo`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.errors import UsageError
from pefuse.models.attention3d import SANET_ATTENTION, ResidualAttention
from pefuse.models.config import ModelConfig
from pefuse.models.pointwise import HalvingPool3d, PointwiseConv3d
from pefuse.models.recompute import recomputed

__all__ = ["SANet", "SANetConfig", "SANetOutput"]

Grid = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class SANetConfig(ModelConfig):
    """Options of `SANet`; the defaults are the paper's."""

    in_channels: int = 1
    stem_channels: int = 64
    stem_stride: Grid = (1, 2, 2)  # the slice axis keeps twice the resolution
    growth: int = 32
    bottleneck: int = 4  # a dense layer's 1×1×1 convolution has bottleneck * growth channels
    blocks: tuple[int, ...] = (6, 12, 24, 16)
    attention_blocks: int = 3  # dense blocks followed by attention, from the first one on
    embedding_dim: int | None = 64  # None: the pooled vector itself is the embedding
    embedding_activation: Literal["none", "relu", "tanh"] = "relu"  # not stated in the paper
    dropout: float = 0.2  # in every dense layer
    head_dropout: float = 0.2  # on the pooled vector
    recompute: bool = False  # training forgets activations and computes them again: less memory, a third more time

    def __post_init__(self) -> None:
        whole = {"in_channels": self.in_channels, "stem_channels": self.stem_channels, "growth": self.growth}
        for name, value in {**whole, "bottleneck": self.bottleneck, "embedding_dim": self.embedding_dim}.items():
            if value is not None and value < 1:
                raise UsageError(f"SANet: {name} is {value}; it must be at least 1.")
        if min(self.stem_stride) < 1:
            raise UsageError(f"SANet: stem_stride is {self.stem_stride}; each must be at least 1.")
        for name, share in {"dropout": self.dropout, "head_dropout": self.head_dropout}.items():
            if not 0 <= share < 1:
                raise UsageError(f"SANet: {name} is {share}; it must lie in [0, 1).")
        if not self.blocks or min(self.blocks) < 1:
            raise UsageError("SANet: blocks needs at least one dense block, each of at least one layer.")
        most = min(len(self.blocks), len(SANET_ATTENTION))
        if not 0 <= self.attention_blocks <= most:
            raise UsageError(f"SANet: attention_blocks is {self.attention_blocks}; it must lie in 0..{most}.")

    @classmethod
    def paper(cls, **changes: Any) -> SANetConfig:
        """What the paper's text says: 64-d embedding, dropout 0.2."""
        return replace(cls(), **changes)

    @classmethod
    def released(cls, **changes: Any) -> SANetConfig:
        """What the authors' code does: the pooled 1024-vector is the embedding; dropout 0.8 on it alone."""
        return replace(cls(embedding_dim=None, dropout=0.0, head_dropout=0.8), **changes)

    @classmethod
    def demo(cls, **changes: Any) -> SANetConfig:
        """The same architecture, narrow: for grids of 32³ to 48³ on two cores."""
        narrow = cls(stem_channels=16, growth=8, blocks=(2, 2, 2, 2), dropout=0.0)
        return replace(narrow, **changes)


@dataclass(frozen=True, kw_only=True)
class SANetOutput:
    """Of B scans: `logit` (B,), `embedding` (B, E), and the last map `features` (B, C, z, y, x), not negative."""

    logit: Tensor
    embedding: Tensor
    features: Tensor


class SANet(nn.Module):
    """CT volume to logit; also gives the embedding that fusion takes and the map that an explanation reads."""

    def __init__(self, config: SANetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config)
        self.stages = nn.ModuleList()
        channels = config.stem_channels
        for index, layers in enumerate(config.blocks):
            last = index == len(config.blocks) - 1
            stage = Stage(config, channels, layers, attention=index, transition=not last)
            self.stages.append(stage)
            channels = stage.out_channels
        self.norm = nn.BatchNorm3d(channels)
        self.head = Head(config, channels)
        self.feature_channels = channels
        self.embedding_dim = config.embedding_dim or channels
        self.apply(_initialise)

    def forward(self, x: Tensor) -> SANetOutput:
        """Score standardised volumes `x` (B, 1, Z, Y, X).

        Raises:
            UsageError: the grid is too small for the network, or a training batch of one scan on a tiny grid.
        """
        self._check(x)
        x = self.stem(x)  # (B, 64, Z / 2, Y / 4, X / 4)
        for stage in self.stages:
            x = recomputed(stage, x) if self.config.recompute and self.training else stage(x)
        features = functional.relu_(self.norm(x))  # (B, C, Z / 16, Y / 32, X / 32)
        embedding = self.head.embed(features.mean(dim=(2, 3, 4)))  # (B, E)
        logit = self.head.classifier(embedding).squeeze(1)  # (B,)
        return SANetOutput(logit=logit, embedding=embedding, features=features)

    def feature_grid(self, grid: Grid) -> Grid:
        """Grid `(z, y, x)` of `features` for a scan of `grid`; a 0 means that the scan is too small."""
        z, y, x = (self._feature_size(n, s) for n, s in zip(grid, self.config.stem_stride, strict=True))
        return z, y, x

    def _feature_size(self, voxels: int, stride: int) -> int:
        pooled = math.ceil(math.ceil(voxels / stride) / 2)  # the stem's two steps round up, the transitions down
        return pooled >> (len(self.config.blocks) - 1)

    def _check(self, x: Tensor) -> None:
        z, y, x_ = x.shape[2:]
        if min(self.feature_grid((z, y, x_))) < 1:
            least = tuple(2 ** len(self.config.blocks) * stride for stride in self.config.stem_stride)
            raise UsageError(
                f"A scan of {z}×{y}×{x_} voxels is too small for this SANet: use a grid of at least "
                f"{least[0]}×{least[1]}×{least[2]} (slices, rows, columns)."
            )


class Stem(nn.Sequential):
    """7×7×7 convolution, then max pooling."""

    def __init__(self, config: SANetConfig) -> None:
        super().__init__(
            nn.Conv3d(config.in_channels, config.stem_channels, 7, config.stem_stride, padding=3, bias=False),
            nn.BatchNorm3d(config.stem_channels),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1),
        )


class Stage(nn.Sequential):
    """Dense block, then attention (in the first stages), then the transition to half the size (but the last)."""

    def __init__(
        self, config: SANetConfig, channels: int, layers: int, *, attention: int, transition: bool
    ) -> None:
        super().__init__()
        self.add_module("dense", DenseBlock(config, channels, layers))
        channels += layers * config.growth
        if attention < config.attention_blocks:
            self.add_module("attention", ResidualAttention(channels, SANET_ATTENTION[attention]))
        if transition:
            self.add_module("transition", Transition(channels))
        self.out_channels = channels // 2 if transition else channels


class DenseBlock(nn.Module):
    """Layers that each see everything made before them and add `growth` channels."""

    def __init__(self, config: SANetConfig, channels: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DenseLayer(config, channels + i * config.growth) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)  # (B, C + growth, z, y, x)
        return x


class DenseLayer(nn.Sequential):
    """BN, ReLU, 1×1×1, BN, ReLU, 3×3×3, dropout."""

    def __init__(self, config: SANetConfig, channels: int) -> None:
        narrow = config.bottleneck * config.growth
        super().__init__(
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            PointwiseConv3d(channels, narrow),
            nn.BatchNorm3d(narrow),
            nn.ReLU(inplace=True),
            nn.Conv3d(narrow, config.growth, 3, padding=1, bias=False),
            nn.Dropout(config.dropout),
        )


class Transition(nn.Sequential):
    """BN, ReLU, 1×1×1 to half the channels, average pooling to half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            PointwiseConv3d(channels, channels // 2),
            HalvingPool3d(),
        )


class Head(nn.Module):
    """Pooled vector to embedding to logit."""

    def __init__(self, config: SANetConfig, channels: int) -> None:
        super().__init__()
        # On a pooled vector the released code's channel-wise 3D dropout is ordinary dropout.
        self.dropout = nn.Dropout(config.head_dropout)
        self.embedding = nn.Linear(channels, config.embedding_dim) if config.embedding_dim else nn.Identity()
        activations = {"none": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh}
        self.activation = activations[config.embedding_activation]() if config.embedding_dim else nn.Identity()
        self.classifier = nn.Linear(config.embedding_dim or channels, 1)

    def embed(self, pooled: Tensor) -> Tensor:
        """Pooled features (B, C) to the embedding (B, E)."""
        embedding: Tensor = self.activation(self.embedding(self.dropout(pooled)))
        return embedding


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
