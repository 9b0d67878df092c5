"""Attention of Swin's windows, a group of windows at a time: the same numbers in a fraction of the memory.

In a scan of 128³ the first stage has 1000 windows of 343 patches, and each of its attention's maps takes 1.4 GiB a
scan. MONAI holds several of them for all windows at once; a window knows nothing of the others, so a few at a time
will do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["attend_in_groups"]

MOST_WEIGHTS = 2**26  # attention weights that a group may have: 256 MiB in float32


def attend_in_groups(encoder: nn.Module, *, recompute: bool) -> None:
    """Let every window attention of MONAI's encoder work in groups; parameters and their names stay.

    Args:
        recompute: training computes a group's attention again instead of keeping it.
    """
    from monai.networks.nets.swin_unetr import WindowAttention  # takes seconds to import: only where it is used

    class GroupedWindowAttention(WindowAttention):
        def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
            """Windows (W, N, C) to (W, N, C); `mask` (V, N, N) of V windows, which the W repeat, or None."""
            windows, patches, _ = x.shape
            at_once = max(1, MOST_WEIGHTS // (self.num_heads * patches**2))
            if windows <= at_once:
                whole: Tensor = super().forward(x, mask)  # type: ignore[no-untyped-call]
                return whole
            bias = self._position_bias(patches)
            groups = []
            for start in range(0, windows, at_once):
                stop = min(start + at_once, windows)
                masks = None if mask is None else mask[torch.arange(start, stop, device=x.device) % len(mask)]
                inputs = (x[start:stop], bias, masks)
                keep = not (recompute and torch.is_grad_enabled())
                groups.append(self._attend(*inputs) if keep else _again(self._attend, *inputs))
            projected: Tensor = self.proj_drop(self.proj(torch.cat(groups)))
            return projected

        def _position_bias(self, patches: int) -> Tensor:
            """Of each head (H, N, N)."""
            index: Any = self.relative_position_index
            table: Tensor = self.relative_position_bias_table[index[:patches, :patches].reshape(-1)]
            return table.reshape(patches, patches, -1).permute(2, 0, 1)

        def _attend(self, x: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
            count, patches, width = x.shape
            query, key, value = (
                self.qkv(x).reshape(count, patches, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            )  # each (W, H, N, C / H)
            weights = (query * self.scale) @ key.transpose(-2, -1) + bias
            if mask is not None:
                weights = weights + mask[:, None]
            attended: Tensor = self.attn_drop(self.softmax(weights)) @ value
            return attended.transpose(1, 2).reshape(count, patches, width)

    for module in encoder.modules():
        if isinstance(module, WindowAttention):
            module.__class__ = GroupedWindowAttention  # it has the same parts; only what it does with them differs


def _again(function: Any, *inputs: Any) -> Tensor:
    computed: Tensor = checkpoint(function, *inputs, use_reentrant=False)
    return computed
