"""The maps inside an image network that a Grad-CAM can be read from, and where their voxels lie in the scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.errors import UsageError
from pefuse.models.sanet import SANet
from pefuse.models.swin import PATCH, Swin

__all__ = ["ImageLayer", "MapCatcher", "chosen_layer", "image_layers"]

Triple = tuple[float, float, float]

LEAST_SIDE = 8  # voxels: on a coarser map one of them is as wide as the heart, and heat cannot point at it
LAST = "features"


@dataclass(frozen=True, kw_only=True)
class ImageLayer:
    """A map `(B, C, z, y, x)` of the network.

    Voxel i of the map is centred on voxel `stride * i + offset` of the network's input, along each axis: a padded
    convolution of stride 2 looks at every second voxel, an average of two between them.
    """

    name: str
    stride: Triple
    offset: Triple
    module: nn.Module = field(repr=False)

    def grid(self, sides: tuple[int, ...]) -> tuple[int, ...]:
        """Voxels along each axis of the map for an input of `sides`."""
        return tuple(round(side / stride) for side, stride in zip(sides, self.stride, strict=True))

    def to_input_grid(self, heat: NDArray[np.float32], sides: tuple[int, ...]) -> NDArray[np.float32]:
        """A map's heat `(B, z, y, x)` on the voxels of the input `(B, *sides)`, linear between centres."""
        for axis, (side, stride, offset) in enumerate(zip(sides, self.stride, self.offset, strict=True), start=1):
            weights = _linear_weights(heat.shape[axis], side, stride, offset)
            heat = np.moveaxis(np.tensordot(heat, weights, axes=(axis, 1)), -1, axis)
        return np.ascontiguousarray(heat, dtype=np.float32)


def image_layers(network: SANet | Swin) -> dict[str, ImageLayer]:
    """The layers by name, from the finest to the coarsest; the last one, `features`, is what is pooled."""
    layers = _of_sanet(network) if isinstance(network, SANet) else _of_swin(network)
    return {layer.name: layer for layer in layers}


def chosen_layer(network: SANet | Swin, sides: tuple[int, ...], name: str = "") -> ImageLayer:
    """The layer of that name; "" = the deepest whose map has at least 8 voxels a side.

    Raises:
        UsageError: the network has no such layer.
    """
    layers = image_layers(network)
    if name and name not in layers:
        raise UsageError(f"The image network has no layer {name!r}: choose one of {', '.join(layers)}.")
    if name:
        return layers[name]
    fine = [layer for layer in layers.values() if min(layer.grid(sides)) >= LEAST_SIDE]
    return fine[-1] if fine else next(iter(layers.values()))


class MapCatcher:
    """Holds the map that a layer gave in the last forward pass; see `listening`."""

    def __init__(self) -> None:
        self.map: Tensor | None = None

    @contextmanager
    def listening(self, layer: ImageLayer) -> Iterator[MapCatcher]:
        """While the block runs, keep what the layer gives, so that a gradient reaches it."""
        handle = layer.module.register_forward_hook(self._keep)
        try:
            yield self
        finally:
            handle.remove()

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(module, SANet | Swin):  # nothing follows the last map but what the network itself made of it
            self.map = output.features
            return output
        # The graph begins here: what lies before the map needs no gradient, and its activations no memory.
        self.map = output.detach().requires_grad_()
        return self.map


def _of_sanet(network: SANet) -> Iterator[ImageLayer]:
    """Each dense block with its attention, before the transition halves it; then the last map after its norm."""
    stride = tuple(2.0 * side for side in network.config.stem_stride)  # convolution, then pooling by two
    blocks = list(network.stages)
    for index, stage in enumerate(blocks):
        # After the stem voxel i lies on input voxel stride * i; each halving averages two neighbours.
        times = 2.0**index
        z, y, x = ((own * times, own * (times - 1) / 2) for own in stride)
        position = {"stride": (z[0], y[0], x[0]), "offset": (z[1], y[1], x[1])}
        if index == len(blocks) - 1:
            yield ImageLayer(name=LAST, module=network, **position)
        else:
            parts = dict(stage.named_children())
            module = parts.get("attention", parts["dense"])
            yield ImageLayer(name=f"block-{index + 1}", module=module, **position)


def _of_swin(network: Swin) -> Iterator[ImageLayer]:
    """What each stage hands to the next; then the map that is pooled."""
    stages = range(1, network.config.features_stage)
    for stage in stages:
        module = getattr(network.encoder, f"layers{stage}")[0]
        yield ImageLayer(name=f"stage-{stage}", module=module, **_swin_position(stage))
    yield ImageLayer(name=LAST, module=network, **_swin_position(network.config.features_stage))


def _swin_position(stage: int) -> dict[str, Triple]:
    """Patches and their merging join neighbours side by side, so edges are aligned."""
    side = float(PATCH * 2**stage)
    return {"stride": (side,) * 3, "offset": ((side - 1) / 2,) * 3}


def _linear_weights(size: int, side: int, stride: float, offset: float) -> NDArray[np.float32]:
    """Weights `(side, size)` of linear interpolation; beyond the outer centres their value holds."""
    place = np.clip((np.arange(side) - offset) / stride, 0, size - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(size)))
    single: NDArray[np.float32] = weights.astype(np.float32)
    return single
