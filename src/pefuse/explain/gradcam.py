"""Class activation maps in 3D: where in the scan the evidence for death lies, as the image branch sees it.

All three weight a map A of the image network by the gradient g of the logit and sum over its channels k; what
speaks against death is cut off:

    grad-cam    relu(sum_k mean(g_k) A_k)      Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2
    hires-cam   relu(sum_k g_k A_k)            Draelos & Carin 2020 (arXiv 2011.08891)
    layer-cam   relu(sum_k relu(g_k) A_k)      Jiang et al. 2021 (IEEE TIP 30:5875), equation 8

Before the last layer a channel means different things in different places, which the mean of Grad-CAM forgets.
The gradient starts at the logit of the whole model, so for a fusion it runs through the fusion, this patient's
record in its place, into the image branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.explain.layers import ImageLayer, MapCatcher

__all__ = ["HeatMethod", "activation_map"]

HeatMethod = Literal["grad-cam", "hires-cam", "layer-cam"]
ToLogit = Callable[[Tensor], Tensor]  # images (B, 1, Z, Y, X) to logits (B,)


def activation_map(
    to_logit: ToLogit, image: Tensor, layer: ImageLayer, *, network: nn.Module, method: HeatMethod = "grad-cam"
) -> NDArray[np.float32]:
    """Heat `(B, Z, Y, X)` on the voxels of `image`, not negative; its unit is logits a voxel of the map.

    Args:
        to_logit: the model from its image on, in eval mode. It must run `network`.
        image: what the network takes, `(B, 1, Z, Y, X)`.
        layer: of `image_layers(network)`.
    """
    catcher = MapCatcher()
    with torch.enable_grad(), _frozen(network), catcher.listening(layer):
        logit = to_logit(image.detach().requires_grad_(layer.module is network))
    assert catcher.map is not None
    (gradient,) = torch.autograd.grad(logit.sum(), catcher.map)
    heat = _weighted(catcher.map.detach(), gradient, method).float().cpu().numpy()  # (B, z, y, x)
    return layer.to_input_grid(heat, tuple(image.shape[2:]))


def _weighted(activation: Tensor, gradient: Tensor, method: HeatMethod) -> Tensor:
    if method == "grad-cam":
        gradient = gradient.mean(dim=(2, 3, 4), keepdim=True)  # (B, C, 1, 1, 1)
    elif method == "layer-cam":
        gradient = torch.relu(gradient)
    return torch.relu((gradient * activation).sum(dim=1))


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No gradient to the weights: the graph would hold every activation for them."""
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learned:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learned:
            weight.requires_grad_(True)
