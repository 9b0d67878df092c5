"""1×1×1 convolution as what it is: one matrix product over all voxels.

Most convolutions of SANet are 1×1×1. With the channels last in memory such a convolution needs no copy and no
convolution kernel, whose set-up costs more than the work on the small grids inside the attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PointwiseConv3d"]


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
