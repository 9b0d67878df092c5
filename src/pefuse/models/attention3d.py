"""Residual attention on 3D feature maps: a trunk, and a mask that looks at the map from coarse to fine.

The idea is that of Wang et al. 2017 (arXiv 1704.06904) with the changes that SANet makes: every level adds both
its units' outputs on the way up, and the trunk is added before the mask's sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pefuse.errors import UsageError
from pefuse.models.pointwise import PointwiseConv3d

__all__ = ["SANET_ATTENTION", "AttentionPlan", "ResidualAttention", "ResidualUnit"]


@dataclass(frozen=True, kw_only=True)
class AttentionPlan:
    """How deep one attention block looks.

    `levels` is the number of levels with skips; one more pooling leads to the bottom. Level 1 is the finest.
    """

    levels: int
    bottom_units: int
    double_merge_level: int | None = None  # the level whose merge is followed by two units instead of one
    pool_first_unit_of: int | None = None  # the level whose first unit (not its second) feeds the next pooling


# Each block sees a map half the size of the one before it; at 128³ all reach the same lowest grid, 4×2×2.
SANET_ATTENTION = (
    AttentionPlan(levels=3, bottom_units=2, double_merge_level=2),
    AttentionPlan(levels=2, bottom_units=2, pool_first_unit_of=1),
    AttentionPlan(levels=1, bottom_units=1),
    AttentionPlan(levels=0, bottom_units=2),  # declared but switched off in the released code
)


class ResidualAttention(nn.Module):
    """One attention block: `U((1 + M) * T)` with trunk `T` and mask `M` in (0, 1), of the shape of its input."""

    def __init__(self, channels: int, plan: AttentionPlan) -> None:
        super().__init__()
        self.plan = plan
        self.trunk = _units(channels, 2)
        self.before_mask = ResidualUnit(channels)
        self.pool = nn.MaxPool3d(3, stride=2, padding=1)
        self.down = nn.ModuleList(ResidualUnit(channels) for _ in range(plan.levels))
        self.skip = nn.ModuleList(ResidualUnit(channels) for _ in range(plan.levels))
        self.bottom = _units(channels, plan.bottom_units)
        self.up = nn.ModuleList(
            _units(channels, 2 if level == plan.double_merge_level else 1) for level in range(1, plan.levels + 1)
        )
        self.mask = nn.Sequential(
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            PointwiseConv3d(channels, channels),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            PointwiseConv3d(channels, channels),
            nn.Sigmoid(),
        )
        self.after = ResidualUnit(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh `x` (B, C, z, y, x) by an attention mask; the shape stays."""
        trunk = self.trunk(x)
        mask = self.mask(self._look(self.before_mask(x), trunk))
        out: Tensor = self.after(torch.addcmul(trunk, mask, trunk))  # (1 + M) T
        return out

    def _look(self, x: Tensor, trunk: Tensor) -> Tensor:
        """Go down to the coarsest grid and back up to the trunk's."""
        merges = []
        for level, (down, skip) in enumerate(zip(self.down, self.skip, strict=True), start=1):
            first = down(self.pool(x))  # (B, C, z / 2^level, ...)
            second = skip(first)
            merges.append(first + second)
            x = first if level == self.plan.pool_first_unit_of else second
        x = self.bottom(self._pooled_to_bottom(x))
        for merge, up in zip(reversed(merges), reversed(self.up), strict=True):
            x = up(_resized_like(x, merge).add_(merge))
        return _resized_like(x, trunk).add_(trunk)

    def _pooled_to_bottom(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        if self.training and x.shape[0] * x[0, 0].numel() == 1:
            raise UsageError(
                "A training batch of one scan shrinks to a single voxel inside the attention, where batch "
                "normalisation has nothing to average: use a batch of at least 2, or a larger grid."
            )
        return x


class ResidualUnit(nn.Module):
    """Bottleneck with a skip: 1×1×1 to a quarter of the channels, 3×3×3, 1×1×1 back, added to the input, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 4)
        self.body = nn.Sequential(
            PointwiseConv3d(channels, narrow),
            nn.BatchNorm3d(narrow),
            nn.ReLU(inplace=True),
            nn.Conv3d(narrow, narrow, 3, padding=1, bias=False),
            nn.BatchNorm3d(narrow),
            nn.ReLU(inplace=True),
            PointwiseConv3d(narrow, channels),
            nn.BatchNorm3d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu_(self.body(x).add_(x))


def _units(channels: int, number: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualUnit(channels) for _ in range(number)))


def _resized_like(x: Tensor, target: Tensor) -> Tensor:
    """`x` on the grid and in the layout of `target`, trilinear. Any size works."""
    if x.shape[2:] == target.shape[2:]:
        return x.clone()  # the caller adds in place
    resized = functional.interpolate(x, size=target.shape[2:], mode="trilinear", align_corners=False)
    # A map of one voxel has no layout of its own to pass on; torch then takes channels first.
    last = target.is_contiguous(memory_format=torch.channels_last_3d)
    return resized.contiguous(memory_format=torch.channels_last_3d) if last else resized
