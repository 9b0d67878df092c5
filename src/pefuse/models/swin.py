"""Swin UNETR's encoder as a classifier of one CT volume.

Hatamizadeh et al. 2022 (arXiv 2201.01266) in MONAI's implementation: 2×2×2 patches, attention within windows
that shift from one layer to the next, and four stages that each halve the grid and double the channels. The
fusion paper puts fully connected layers of 1024 and 64 behind it. Weights from self-supervised pretraining:
models/swin_pretrained.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.config import ModelConfig
from pefuse.models.swin_windows import attend_in_groups

__all__ = ["Swin", "SwinConfig", "SwinOutput"]

PATCH = 2
STAGES = 4
GRID_STEP = PATCH * 2**STAGES  # a scan's sides must be a multiple of it


@dataclass(frozen=True, kw_only=True)
class SwinConfig(ModelConfig):
    """Options of `Swin`; the defaults are the paper's, and MONAI's where it says nothing."""

    feature_size: int = 48  # channels after the patches
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)  # layers a stage
    heads: tuple[int, int, int, int] = (3, 6, 12, 24)
    window: int = 7  # patches a side
    dropout: float = 0.1
    attention_dropout: float = 0.0
    # Which order merges eight neighbours. `legacy` repeats two of them and leaves two out: a slip that the
    # published weights were trained with, and that MONAI corrected in 1.5 (its pull request 8285).
    merging: Literal["corrected", "legacy"] = "corrected"
    features_stage: int = 4  # whose map is `features`: what is pooled, and the tokens of a bottleneck transformer
    grid: int | None = None  # the scan's sides where the map is flattened; None: it is averaged, whatever its size
    residual_block: bool = False  # two convolutions with a skip on the map first, as the released code has
    hidden_dim: int = 1024
    embedding_dim: int | None = 64  # None: the hidden vector itself is the embedding
    head_dropout: float = 0.1
    recompute: bool = False  # training forgets activations and computes them again: less memory, more time

    def __post_init__(self) -> None:
        if self.feature_size < 12 or self.feature_size % 12:
            raise UsageError(f"Swin: feature_size is {self.feature_size}; it must be a multiple of 12.")
        sizes = {"window": self.window, "hidden_dim": self.hidden_dim, "embedding_dim": self.embedding_dim}
        for name, value in {**sizes, "depths": min(self.depths), "heads": min(self.heads)}.items():
            if value is not None and value < 1:
                raise UsageError(f"Swin: {name} is {value}; it must be at least 1.")
        if any(self.feature_size * 2**stage % heads for stage, heads in enumerate(self.heads)):
            raise UsageError(
                f"Swin: heads {self.heads} do not divide the stages' channels of {self.feature_size}·2ⁿ."
            )
        if not 1 <= self.features_stage <= STAGES:
            raise UsageError(f"Swin: features_stage is {self.features_stage}; it must lie in 1..{STAGES}.")
        for name in ("dropout", "attention_dropout", "head_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"Swin: {name} is {getattr(self, name)}; it must lie in [0, 1).")
        if self.grid is not None:
            check_grid((self.grid,) * 3)

    @classmethod
    def paper(cls, **changes: Any) -> SwinConfig:
        """What the paper's text says: fully connected layers of 1024 and 64, dropout 0.1."""
        return replace(cls(), **changes)

    @classmethod
    def released(cls, **changes: Any) -> SwinConfig:
        """What the authors' code does: a residual block, the map flattened, 1024 numbers as the embedding."""
        released = cls(dropout=0.05, grid=128, residual_block=True, embedding_dim=None, head_dropout=0.7)
        return replace(released, **changes)

    @classmethod
    def demo(cls, **changes: Any) -> SwinConfig:
        """The same architecture, narrow: for 32³ on two cores, where the last stage has a single patch."""
        narrow = cls(feature_size=12, window=4, hidden_dim=128, features_stage=3)
        return replace(narrow, **changes)

    @property
    def feature_channels(self) -> int:
        return int(self.feature_size * 2**self.features_stage)

    def check_scan_grid(self, grid: int) -> None:
        """Refuse scans of grid³ that these options cannot take.

        Raises:
            UsageError: which option, and what to do.
        """
        check_grid((grid,) * 3)
        if self.grid not in (None, grid):
            raise UsageError(
                f"The Swin encoder flattens the map of a scan of {self.grid}³, but scans have {grid}³: "
                f"set swin.network.grid to {grid}, or to null, which averages the map."
            )
        if self.residual_block and grid == PATCH * 2**self.features_stage:
            raise UsageError(
                f"The Swin encoder's residual block normalises over the map, but of a scan of {grid}³ that is a "
                "single point: set swin.network.residual_block to false, or scan.grid higher."
            )


@dataclass(frozen=True, kw_only=True)
class SwinOutput:
    """Of B scans: `logit` (B,), `embedding` (B, E), and the chosen stage's map `features` (B, C, z, y, x)."""

    logit: Tensor
    embedding: Tensor
    features: Tensor


class Swin(nn.Module):
    """CT volume to logit, embedding and tokens."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.residual = _residual_block(config.feature_channels) if config.residual_block else nn.Identity()
        self.embedding = nn.Sequential(
            nn.Linear(self._map_width(), config.hidden_dim), nn.ReLU(), nn.Dropout(config.head_dropout)
        )
        if config.embedding_dim:
            self.embedding.append(nn.Linear(config.hidden_dim, config.embedding_dim))
            self.embedding.append(nn.ReLU())
        self.embedding_dim = config.embedding_dim or config.hidden_dim
        self.feature_channels = config.feature_channels
        self.classifier = nn.Linear(self.embedding_dim, 1)

    def forward(self, x: Tensor) -> SwinOutput:
        """Score standardised volumes `x` (B, 1, Z, Y, X).

        Raises:
            UsageError: a side is no multiple of 32.
        """
        check_grid(tuple(x.shape[2:]))
        features = self.encoder(x)[self.config.features_stage]  # (B, C, Z / 32, Y / 32, X / 32) of the last stage
        vector = self._vector(self.residual(features))  # (B, C), or all of the map
        embedding = self.embedding(vector)  # (B, E)
        return SwinOutput(logit=self.classifier(embedding).squeeze(1), embedding=embedding, features=features)

    def feature_grid(self, grid: tuple[int, int, int]) -> tuple[int, int, int]:
        """Grid `(z, y, x)` of `features` for a scan of `grid`."""
        z, y, x = (side // (PATCH * 2**self.config.features_stage) for side in grid)
        return z, y, x

    def _vector(self, features: Tensor) -> Tensor:
        return features.mean(dim=(2, 3, 4)) if self.config.grid is None else features.flatten(1)

    def _map_width(self) -> int:
        if self.config.grid is None:
            return self.config.feature_channels
        return self.config.feature_channels * math.prod(self.feature_grid((self.config.grid,) * 3))


def check_grid(sides: tuple[int, ...]) -> None:
    """Refuse a scan that cannot be halved five times.

    Raises:
        UsageError: a side is no multiple of 32.
    """
    if any(side % GRID_STEP or side < GRID_STEP for side in sides):
        raise UsageError(
            f"Swin UNETR halves a scan five times, so each side must be a multiple of {GRID_STEP}; the grid is "
            f"{'×'.join(map(str, sides))}: set scan.grid to {GRID_STEP}, {2 * GRID_STEP}, … or leave it out."
        )


def _encoder(config: SwinConfig) -> nn.Module:
    from monai.networks.nets.swin_unetr import SwinTransformer  # takes seconds to import: only where it is used

    encoder = SwinTransformer(
        in_chans=1,
        embed_dim=config.feature_size,
        window_size=(config.window,) * 3,
        patch_size=(PATCH,) * 3,
        depths=config.depths,
        num_heads=config.heads,
        drop_rate=config.dropout,
        attn_drop_rate=config.attention_dropout,
        use_checkpoint=config.recompute,
        spatial_dims=3,
        downsample="merging" if config.merging == "corrected" else _legacy_merging(),
    )
    attend_in_groups(encoder, recompute=config.recompute)
    return encoder


def _residual_block(channels: int) -> nn.Module:
    from monai.networks.blocks.unetr_block import UnetrBasicBlock

    return UnetrBasicBlock(
        spatial_dims=3,
        in_channels=channels,
        out_channels=channels,
        kernel_size=3,
        stride=1,
        norm_name="instance",
        res_block=True,
    )


# Offsets (z, y, x) of the eight neighbours that are put side by side, in the order that the published weights
# know.
_LEGACY_ORDER = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1))


def _legacy_merging() -> type[nn.Module]:
    """MONAI's patch merging as it was before 1.5, with the parameters of today's."""
    from monai.networks.nets.swin_unetr import PatchMergingV2

    class LegacyPatchMerging(PatchMergingV2):
        def forward(self, x: Tensor) -> Tensor:
            """Map (B, z, y, x, C) to (B, z / 2, y / 2, x / 2, 2 C)."""
            parts = [x[:, z::2, y::2, x_::2] for z, y, x_ in _LEGACY_ORDER]
            merged: Tensor = self.reduction(self.norm(torch.cat(parts, dim=-1)))
            return merged

    return LegacyPatchMerging
