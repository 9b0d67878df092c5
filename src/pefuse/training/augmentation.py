"""Random contrast and flips, the two augmentations of the paper (its ranges and axes are not given).

The draw and its use are two functions: a batch can be augmented again in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Augmentation", "AugmentationConfig", "augment", "draw_augmentation"]

_AXES = {"z": 2, "y": 3, "x": 4}


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Ranges of the random changes; all zero or empty means none."""

    flip_axes: str = "x"  # of "zyx"; each is flipped in half of the cases
    contrast: float = 0.2  # values are scaled about the scan's mean by 1 ± this
    brightness: float = 0.1  # and moved by ± this, in standard deviations of the training fold

    def __post_init__(self) -> None:
        if set(self.flip_axes) - set(_AXES):
            raise ValueError('flip_axes takes letters of "zyx"')
        if not 0 <= self.contrast < 1 or self.brightness < 0:
            raise ValueError("contrast must be in [0, 1) and brightness not below 0")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """One draw for a batch: `flips` (B, axes) bool, `gain` and `shift` (B,)."""

    axes: str
    flips: Tensor
    gain: Tensor
    shift: Tensor


def draw_augmentation(count: int, config: AugmentationConfig, generator: torch.Generator) -> Augmentation:
    """Draw for `count` cases."""
    return Augmentation(
        axes=config.flip_axes,
        flips=torch.rand(count, len(config.flip_axes), generator=generator) < 0.5,
        gain=1 + config.contrast * (2 * torch.rand(count, generator=generator) - 1),
        shift=config.brightness * (2 * torch.rand(count, generator=generator) - 1),
    )


def augment(image: Tensor, draw: Augmentation) -> Tensor:
    """Apply a draw to normalised scans `(B, 1, Z, Y, X)`; returns a new tensor."""
    mean = image.mean(dim=(1, 2, 3, 4), keepdim=True)
    gain, shift = draw.gain.view(-1, 1, 1, 1, 1), draw.shift.view(-1, 1, 1, 1, 1)
    changed = (image - mean) * gain + (mean + shift)
    for case, flips in enumerate(draw.flips):
        axes = [_AXES[axis] - 1 for axis, flip in zip(draw.axes, flips, strict=True) if flip]
        if axes:
            changed[case] = changed[case].flip(axes)
    return changed
