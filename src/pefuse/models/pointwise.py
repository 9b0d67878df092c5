"""1×1×1 convolution as what it is, one matrix product over all voxels, and pooling that keeps its layout.

Most convolutions of SANet are 1×1×1. With the channels last in memory such a convolution needs no copy and no
convolution kernel, whose set-up costs more than the work on the small grids inside the attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HalvingPool3d", "PointwiseConv3d"]


class PointwiseConv3d(nn.Conv3d):
    """`nn.Conv3d(in_channels, out_channels, 1)`, with the same parameters, faster on channels-last maps."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = False) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` (B, C, z, y, x) to (B, C', z, y, x), in the memory layout of `x`."""
        if not x.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(x)
        voxels = x.permute(0, 2, 3, 4, 1)  # (B, z, y, x, C): a view
        return functional.linear(voxels, self.weight.flatten(1), self.bias).permute(0, 4, 1, 2, 3)


class HalvingPool3d(nn.AvgPool3d):
    """`nn.AvgPool3d(2)` that keeps the memory layout: torch's gives up channels-last, and all after it is slow."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` (B, C, z, y, x) to (B, C, z // 2, y // 2, x // 2), in the memory layout of `x`."""
        pooled = super().forward(x)
        last = x.is_contiguous(memory_format=torch.channels_last_3d)
        return pooled.contiguous(memory_format=torch.channels_last_3d) if last else pooled
