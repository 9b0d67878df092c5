"""Occlusion: hide a part of the scan and see by how much the risk falls (Zeiler & Fergus 2014, arXiv 1311.2901).

A second opinion beside the class activation maps: it needs no gradient and no layer, only many more predictions. A
cube of the scan is blurred until nothing of its shape is left, which adds no edge that a network never saw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from pefuse.errors import UsageError

__all__ = ["CUBES", "occlusion_map"]

ToLogit = Callable[[Tensor, NDArray[np.float32] | None], Tensor]
FEWEST_CUBES = 2
CUBES = 6  # along each axis: 216 predictions a scan and member; a cube is a third of the scan's side
VOXELS_AT_ONCE = 4 * 128**3
MOST_AT_ONCE = 32


@torch.inference_mode()
def occlusion_map(
    to_logit: ToLogit, image: Tensor, features: NDArray[np.float32] | None, *, cubes: int = CUBES
) -> NDArray[np.float32]:
    """By how much hiding each part lowers the logit, `(B, Z, Y, X)`; what raises it counts 0.

    Args:
        to_logit: images and these cases' features to logits.
        image: what the network takes, `(B, 1, Z, Y, X)`.
        cubes: positions along each axis. A cube is two steps wide, so that every voxel is hidden several times;
            a voxel's value is the mean over the cubes that hid it.

    Raises:
        UsageError: fewer than two cubes along an axis.
    """
    if cubes < FEWEST_CUBES:
        raise UsageError(f"Occlusion needs at least {FEWEST_CUBES} cubes along each axis, not {cubes}.")
    return np.stack(
        [
            _of_one(
                to_logit, image[row : row + 1], features[row : row + 1] if features is not None else None, cubes
            )
            for row in range(len(image))
        ]
    )


def _of_one(
    to_logit: ToLogit, image: Tensor, features: NDArray[np.float32] | None, cubes: int
) -> NDArray[np.float32]:
    sides = tuple(image.shape[2:])
    blurred = torch.from_numpy(gaussian_filter(image.numpy()[0, 0], [side / cubes for side in sides]))
    whole = float(to_logit(image, features)[0])
    fall, times = np.zeros(sides), np.zeros(sides)
    boxes = _boxes(sides, cubes)
    batch = max(1, min(MOST_AT_ONCE, VOXELS_AT_ONCE // math.prod(sides)))
    for start in range(0, len(boxes), batch):
        part = boxes[start : start + batch]
        hidden = image.repeat(len(part), 1, 1, 1, 1)
        for row, box in enumerate(part):
            hidden[row, 0][box] = blurred[box]
        own = np.repeat(features, len(part), axis=0) if features is not None else None
        for box, logit in zip(part, to_logit(hidden, own).tolist(), strict=True):
            fall[box] += whole - logit
            times[box] += 1
    return np.maximum(fall / times, 0.0).astype(np.float32)


def _boxes(sides: tuple[int, ...], cubes: int) -> list[tuple[slice, slice, slice]]:
    """Cubes of two steps, one step apart; the outer ones reach half over the edge: all voxels count alike."""
    z, y, x = (
        [
            slice(max(round((place - 0.5) * side / cubes), 0), min(round((place + 1.5) * side / cubes), side))
            for place in range(cubes)
        ]
        for side in sides
    )
    return list(product(z, y, x))
