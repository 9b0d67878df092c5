"""Scans as networks take them: a window of HU, standardised with the training fold's mean and deviation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["ScanNormalisation"]


@dataclass(frozen=True, kw_only=True)
class ScanNormalisation:
    """HU to network input: clip to the window, scale to 0..1, standardise with the training fold's figures."""

    window_hu: tuple[float, float]
    mean: float
    sd: float

    def __call__(self, hu: NDArray[np.int16]) -> Tensor:
        low, high = self.window_hu
        scaled = torch.from_numpy(hu).to(torch.float32).clamp_(low, high).sub_(low).div_(high - low)
        return scaled.sub_(self.mean).div_(self.sd)
