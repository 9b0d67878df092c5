"""Class activation maps: against the equations worked by hand, and against the network's own gradient."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pefuse.explain.gradcam import activation_map
from pefuse.explain.layers import ImageLayer, image_layers
from pefuse.models import SANet, SANetConfig


class Two(nn.Module):
    """Two channels, one the image and one twice it; the logit weights each voxel of each by hand."""

    def __init__(self, weight):
        super().__init__()
        self.map = nn.Conv3d(1, 2, 1, bias=False)
        self.weight = weight  # (2, z, y, x)
        with torch.no_grad():
            self.map.weight.copy_(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1, 1))

    def forward(self, image):
        return SimpleNamespace(logit=(self.map(image) * self.weight).sum(dim=(1, 2, 3, 4)))


def heat_of(weight, image, method):
    network = Two(weight)
    layer = ImageLayer(name="map", stride=(1.0,) * 3, offset=(0.0,) * 3, module=network.map)
    return activation_map(lambda x: network(x).logit, image, layer, network=network, method=method)


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        # Gradients of channel 1: 1 and -3, of channel 2: 1 and 1. Activations: 1 and 1, and 2 and 2.
        ("grad-cam", [1.0, 1.0]),  # means -1 and 1: -1 * 1 + 1 * 2 at both voxels
        ("hires-cam", [3.0, 0.0]),  # 1 + 2, and -3 + 2 cut at zero
        ("layer-cam", [3.0, 2.0]),  # 1 + 2, and 0 + 2
    ],
)
def test_each_method_is_its_equation(method, wanted):
    weight = torch.tensor([[1.0, -3.0], [1.0, 1.0]]).reshape(2, 1, 1, 2)

    heat = heat_of(weight, torch.ones(1, 1, 1, 1, 2), method)

    assert heat.shape == (1, 1, 1, 2)
    assert heat.ravel().tolist() == wanted


def test_what_speaks_against_death_gives_no_heat():
    heat = heat_of(-torch.ones(2, 2, 2, 2), torch.ones(1, 1, 2, 2, 2), "grad-cam")

    assert not heat.any()


def test_at_the_last_layer_the_maps_sum_to_the_part_of_the_logit_that_speaks_for_death():
    """A SANet without an embedding: logit = bias + sum of w_k mean(A_k), so heat is the sum of w_k A_k / n."""
    torch.manual_seed(0)
    network = SANet(
        SANetConfig.demo(stem_channels=4, growth=2, blocks=(1, 1), attention_blocks=1, embedding_dim=None)
    ).eval()
    image = torch.randn(3, 1, 32, 32, 32)
    layer = image_layers(network)["features"]
    maps = {
        method: activation_map(lambda x: network(x).logit, image, layer, network=network, method=method)
        for method in ("grad-cam", "hires-cam")
    }
    with torch.no_grad():
        features = network(image).features
        weight = network.head.classifier.weight[0].reshape(1, -1, 1, 1, 1)
        wanted = torch.relu((features * weight).sum(dim=1)) / features[0, 0].numel()
    wanted = layer.to_input_grid(wanted.numpy(), (32, 32, 32))

    assert maps["grad-cam"] == pytest.approx(wanted, abs=1e-7)
    assert maps["hires-cam"] == pytest.approx(wanted, abs=1e-7)


def test_the_same_maps_come_of_a_batch_and_of_its_cases_one_by_one():
    torch.manual_seed(0)
    network = SANet(SANetConfig.demo(stem_channels=4, growth=2, blocks=(1, 1), attention_blocks=1)).eval()
    image = torch.randn(3, 1, 32, 32, 32)
    layer = image_layers(network)["block-1"]

    def heat(part):
        return activation_map(lambda x: network(x).logit, part, layer, network=network, method="layer-cam")

    assert heat(image) == pytest.approx(np.concatenate([heat(image[i : i + 1]) for i in range(3)]), abs=1e-7)


def test_the_network_is_left_as_it_was():
    torch.manual_seed(0)
    network = SANet(SANetConfig.demo(stem_channels=4, growth=2, blocks=(1, 1), attention_blocks=1)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layer = image_layers(network)["block-1"]

    activation_map(lambda x: network(x).logit, torch.randn(1, 1, 32, 32, 32), layer, network=network)

    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
