"""Map a window of Hounsfield units to 0..1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pefuse.errors import UsageError

__all__ = ["windowed"]


def windowed(
    hu: NDArray[np.int16] | NDArray[np.float32], *, window_hu: tuple[float, float]
) -> NDArray[np.float32]:
    """HU of any shape as float32: 0 at and below the window's lower end, 1 at and above its upper end.

    Raises:
        UsageError: the window is empty or not finite.
    """
    low, high = window_hu
    if not (np.isfinite([low, high]).all() and low < high):
        raise UsageError("A window needs two finite HU values, the lower one first.")
    scaled = (hu.astype(np.float32) - np.float32(low)) * np.float32(1.0 / (high - low))
    return np.clip(scaled, 0.0, 1.0, out=scaled)
